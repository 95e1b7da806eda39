"""Layers as an author writes them: two custom Functions, two modules."""

from __future__ import annotations

import torch
from torch import nn

from pytest_gradcheck import marks


class Swish(torch.autograd.Function):
    """x * sigmoid(x), with a backward written by hand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad_output * (s + x * s * (1 - s))


class Sign(torch.autograd.Function):
    """A straight-through estimator: its backward is not the derivative of its forward, on purpose."""

    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


@marks.gradcheck((8, 16), init=(16, 4))
class GatedLinear(nn.Module):
    """A linear map whose outputs are gated by another one (Dauphin et al., 2017).

    It carries its own check and imports no pytest: `pytest --gradcheck --gradcheck-modules examples/layers` finds it.
    """

    def __init__(self, inputs, outputs):
        super().__init__()
        self.value = nn.Linear(inputs, outputs)
        self.gate = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.value(x) * torch.sigmoid(self.gate(x))


class BatchNorm(nn.Module):
    """Batch normalisation over the first axis, with running statistics for evaluation."""

    def __init__(self, features, momentum=0.1, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.momentum = momentum
        self.eps = eps

    def forward(self, x):
        if self.training:
            mean, var = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(var, self.momentum)
        else:
            mean, var = self.running_mean, self.running_var
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias
