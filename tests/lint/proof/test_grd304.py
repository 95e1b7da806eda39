"""GRD304: what is no tensor cannot be saved once an input requires a gradient; None can, and an attribute can."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.autograd import Function  # noqa: E402 - only where torch is


def power(save: Any) -> Any:
    class Power(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, n: Any) -> Any:
            save(ctx, x, n)
            return x**n

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return grad * ctx.n * x ** (ctx.n - 1), None

    return Power


@pytest.mark.parametrize("wrong", [3, 3.0, True, "n", [torch.ones(1)], (torch.ones(1),), torch.ones(2).shape, len("n")])
def test_it_raises_where_a_gradient_is_required_and_only_there(wrong: Any) -> None:
    bad = power(lambda ctx, x, n: ctx.save_for_backward(x, wrong))
    with pytest.raises(TypeError, match="save_for_backward can only save variables, but argument 1 is of type"):
        bad.apply(torch.ones(2, requires_grad=True), 3)
    assert bad.apply(torch.ones(2), 3).tolist() == [1, 1]


def test_none_is_allowed() -> None:
    power(lambda ctx, x, n: ctx.save_for_backward(x, None)).apply(torch.ones(2, requires_grad=True), 3)


def test_the_fixed_one_has_the_right_gradient() -> None:
    def save(ctx: Any, x: Any, n: Any) -> None:
        ctx.n = n
        ctx.save_for_backward(x)

    x = torch.full((2,), 2.0, requires_grad=True)
    power(save).apply(x, 3).sum().backward()
    assert x.grad.tolist() == [12, 12]
