"""A mark on the class itself: the class is the test.

pytest --gradcheck examples/layers
"""

from __future__ import annotations

import pytest
import torch
from torch import nn


@pytest.mark.gradcheck((3, 6), init=(6, 2), wrt=["input0", "up.weight"])
@pytest.mark.gradcheck((1, 6), init=(6,), init_kwargs={"rank": 3})
class LowRank(nn.Module):
    """x + up(down(x)): two checks, one a mark."""

    def __init__(self, features, rank=1):
        super().__init__()
        self.down = nn.Linear(features, rank, bias=False)
        self.up = nn.Linear(rank, features, bias=False)

    def forward(self, x):
        return x + self.up(self.down(x))


@pytest.mark.gradcheck((4, 3), domain=(0.05, 0.95))
class Logit(torch.autograd.Function):
    """log(p / (1 - p)): its inputs are drawn inside its domain."""

    @staticmethod
    def forward(ctx, p):
        ctx.save_for_backward(p)
        return torch.log(p) - torch.log1p(-p)

    @staticmethod
    def backward(ctx, grad_output):
        (p,) = ctx.saved_tensors
        return grad_output / (p * (1 - p))
