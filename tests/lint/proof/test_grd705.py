"""GRD705: the assignment leaves the tensor as it was; the call of the safe fix does not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from gradlint.rules.grd705_assign_inplace_method import _METHODS  # noqa: E402


def after(statement: str) -> Any:
    w = torch.zeros(3)
    exec(statement, {"w": w, "v": torch.ones(3)})
    return w


def test_only_the_call_changes_the_numbers() -> None:
    assert after("w.data.copy_ = v").eq(0).all()
    assert after("w.data.copy_(v)").eq(1).all()


def test_the_attribute_is_gone_with_data() -> None:
    assert callable(after("w.data.copy_ = v").copy_)


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_they_are_methods_of_tensors(name: str) -> None:
    assert callable(getattr(torch.Tensor, name))
