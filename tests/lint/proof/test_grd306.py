"""GRD306: a Function called like a module raises, its forward without a context too; the safe fixes record backward."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.autograd import Function  # noqa: E402 - only where torch is


class Double(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return 20 * grad  # not what autograd itself would find


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")
def test_calling_an_instance_raises() -> None:
    with pytest.raises(RuntimeError, match=r"(?i)legacy autograd function"):
        Double()(torch.ones(1))  # type: ignore[no-untyped-call]


def test_forward_without_a_context_raises_and_with_one_skips_backward() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Double.forward(torch.ones(1))  # type: ignore[call-arg]
    x = torch.ones(1, requires_grad=True)
    Double.forward(None, x).backward()
    assert x.grad.tolist() == [2]


def test_apply_records_backward() -> None:
    x = torch.ones(1, requires_grad=True)
    Double.apply(x).backward()  # type: ignore[no-untyped-call]
    assert x.grad.tolist() == [20]
