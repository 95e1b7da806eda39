"""GRD301: one gradient too few raises, also for inputs that are no tensors; further Nones are dropped, others raise."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.autograd import Function  # noqa: E402 - only where torch is

X = torch.ones(2)


def function(returned: Any) -> Any:
    class Scale(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, factor: Any = 2) -> Any:
            return x * factor

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return returned(grad)

    return Scale


def run(returned: Any, *inputs: Any) -> Any:
    x = X.clone().requires_grad_()
    function(returned).apply(x, *inputs).sum().backward()
    return x.grad


@pytest.mark.parametrize("other", [3, torch.ones(2, requires_grad=True)])
@pytest.mark.parametrize("returned", [lambda grad: grad, lambda grad: None, lambda grad: [grad, grad]])
def test_one_for_two_inputs_raises(other: Any, returned: Any) -> None:
    with pytest.raises(RuntimeError, match=r"incorrect number of gradients \(expected 2, got 1\)"):
        run(returned, other)


def test_one_for_each_is_right_and_a_default_that_was_not_given_is_no_input() -> None:
    assert run(lambda grad: (grad, None), 3).tolist() == [1, 1]
    assert run(lambda grad: grad).tolist() == [1, 1]


def test_further_nones_are_dropped_without_a_word() -> None:
    assert run(lambda grad: (grad, None, None)).tolist() == [1, 1]


def test_a_further_gradient_raises() -> None:
    with pytest.raises(RuntimeError, match=r"expected 1, got 2"):
        run(lambda grad: (grad, grad))


def test_with_setup_context_defaults_are_inputs() -> None:
    class Apart(Function):
        @staticmethod
        def forward(x: Any, factor: float = 2.0) -> Any:
            return x * factor

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad

    with pytest.raises(RuntimeError, match=r"expected 2, got 1"):
        Apart.apply(X.clone().requires_grad_()).sum().backward()  # type: ignore[no-untyped-call]
