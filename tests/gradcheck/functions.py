"""Custom Functions that are right, and a factory that plants one fault in their backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad[0] * (s + x * s * (1 - s))


class MatMul(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        a, b = ctx.saved_tensors
        return grad[0] @ b.transpose(-1, -2), a.transpose(-1, -2) @ grad[0]


class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.softmax(x, -1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (y,) = ctx.saved_tensors
        return y * (grad[0] - (grad[0] * y).sum(-1, keepdim=True))


class Unconjugated(torch.autograd.Function):
    """The square of complex numbers; its backward forgets the conjugate."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z * z

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        return 2 * ctx.saved_tensors[0] * grad[0]


def planted(
    right: type[torch.autograd.Function], spoil: Callable[..., Any], name: str = "Planted"
) -> type[torch.autograd.Function]:
    """`right` with a backward whose gradients went through `spoil(*gradients)`."""

    def backward(ctx: Any, *grad: Any) -> Any:
        gradients = right.backward(ctx, *grad)
        return spoil(*gradients) if isinstance(gradients, tuple) else spoil(gradients)

    return type(name, (right,), {"backward": staticmethod(backward)})


def rewritten(
    right: type[torch.autograd.Function], backward: Callable[..., Any], name: str = "Rewritten"
) -> type[torch.autograd.Function]:
    """`right` with another backward altogether."""
    return type(name, (right,), {"backward": staticmethod(backward)})


def spoilt_element(position: int, factor: float = 2.0) -> Callable[[Tensor], Tensor]:
    """Multiplies one element of a gradient."""

    def spoil(gradient: Tensor) -> Tensor:
        scale = torch.ones_like(gradient).flatten()
        scale[position] = factor
        return gradient * scale.view_as(gradient)

    return spoil
