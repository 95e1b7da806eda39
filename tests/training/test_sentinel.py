"""One read tells finite from not finite, and an overflowing norm from an overflowing gradient."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_gradcheck.training.numbers import non_finite
from pytest_gradcheck.training.sentinel import read

LOSS = torch.tensor(1.5)


def test_norms_and_total_are_euclidean() -> None:
    reading = read(LOSS, [("a", torch.tensor([3.0, 4.0])), ("b", torch.full((4, 4), 3.0))])
    assert reading.loss == 1.5
    assert reading.norms == {"a": 5.0, "b": 12.0}
    assert reading.total == 13.0
    assert reading.healthy


@pytest.mark.parametrize("value,kind", [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "inf")])
def test_one_bad_element_is_found_and_named(value: float, kind: str) -> None:
    bad = torch.zeros(1000)
    bad[777] = value
    reading = read(LOSS, [("fine", torch.ones(3)), ("bad", bad)])
    assert reading.bad == {"bad": kind}
    assert not reading.healthy


def test_a_norm_that_overflows_is_no_failure() -> None:
    """float32 squares overflow at 1.8e19, float16 squares at 256: every element here is finite."""
    reading = read(LOSS, [("wide", torch.full((4,), 1e30)), ("half", torch.full((4,), 60000.0, dtype=torch.float16))])
    assert reading.healthy
    assert reading.norms["wide"] == pytest.approx(2e30)
    assert reading.norms["half"] == pytest.approx(120000, rel=1e-3)
    assert math.isfinite(reading.total)


def test_mixed_dtypes_complex_and_sparse_gradients() -> None:
    sparse = torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 2]]), torch.tensor([3.0, 3.0, 8.0]), (5,), check_invariants=True
    )
    named = [
        ("double", torch.ones(4, dtype=torch.float64)),
        ("complex", torch.full((1,), 3 + 4j)),
        ("sparse", sparse),
        ("bad", torch.full((1,), complex(0, math.nan))),
    ]
    reading = read(LOSS, named)
    assert [round(reading.norms[name], 6) for name in ("double", "complex", "sparse")] == [2, 5, 10]
    assert reading.bad == {"bad": "nan"}


def test_a_bad_loss_and_no_gradients_at_all() -> None:
    assert not read(torch.tensor(math.nan), []).healthy
    assert not read(torch.tensor([math.inf]), []).healthy
    assert read(LOSS, []).total == 0


def test_nan_wins_over_infinity() -> None:
    assert non_finite(torch.tensor([math.inf, math.nan])) == "nan"
    assert non_finite(torch.tensor([1.0])) is None
