"""GRD506: the branch that `where` does not take still makes the gradient NaN; the double `where` does not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

#: A condition, a function, a point where it is not taken, one where it is, and what the fix puts in the former's place.
CASES: list[tuple[Any, Any, float, float, float]] = [
    (lambda x: x > 0, torch.sqrt, 0.0, 0.5, 1.0),
    (lambda x: x > 0, torch.sqrt, -1.0, 0.5, 1.0),
    (lambda x: x > 0, torch.log, 0.0, 0.5, 1.0),
    (lambda x: x != 0, lambda x: 1 / x, 0.0, 0.5, 1.0),
    (lambda x: x > 0, lambda x: x**0.5, -1.0, 0.5, 1.0),
    (lambda x: x > 0, lambda x: x**-0.5, 0.0, 0.5, 1.0),
    (lambda x: x.abs() < 1, torch.acos, 1.0, 0.5, 0.0),
    (lambda x: x.abs() < 1, torch.asin, 2.0, 0.5, 0.0),
    (lambda x: x > 1, torch.acosh, 1.0, 1.5, 2.0),
]


NAMES = ("condition", "function", "at", "taken", "safe")


@pytest.mark.parametrize(NAMES, CASES)
def test_the_gradient_is_nan_where_the_other_branch_is_taken(
    condition: Any, function: Any, at: float, taken: float, safe: float
) -> None:
    x = torch.tensor([at], requires_grad=True)
    value = torch.where(condition(x), function(x), 0.0)
    value.sum().backward()
    assert float(value.detach()) == 0
    assert x.grad is not None
    assert x.grad.isnan().all()


@pytest.mark.parametrize(NAMES, CASES)
def test_the_fixed_one_has_the_gradient_zero_there_and_the_same_values(
    condition: Any, function: Any, at: float, taken: float, safe: float
) -> None:
    x = torch.tensor([at, taken], requires_grad=True)
    fixed = torch.where(condition(x), function(torch.where(condition(x), x, safe)), 0.0)
    assert torch.equal(fixed, torch.where(condition(x), function(x), 0.0))
    fixed.sum().backward()
    assert x.grad is not None
    assert float(x.grad[0]) == 0
    assert x.grad.isfinite().all()
