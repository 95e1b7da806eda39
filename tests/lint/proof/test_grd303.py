"""GRD303: a Function with methods that are not static raises, called either way; the safe fix runs."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

CODE = """
class Double(torch.autograd.Function):
    {mark}
    def forward(self, x):
        return 2 * x
    {mark}
    def backward(self, grad):
        return 2 * grad
"""


def double(mark: str) -> Any:
    space: dict[str, Any] = {"torch": torch}
    exec(CODE.format(mark=mark), space)
    return space["Double"]


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")
def test_the_legacy_form_raises() -> None:
    with pytest.raises(RuntimeError, match=r"(?i)legacy autograd function"):
        double("")()(torch.ones(1, requires_grad=True))


@pytest.mark.parametrize("mark", ["", "@staticmethod"])
def test_apply_runs_with_and_without_the_safe_fix(mark: str) -> None:
    x = torch.ones(1, requires_grad=True)
    double(mark).apply(x).backward()
    assert float(x.grad) == 2
