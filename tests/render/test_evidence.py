"""What is kept of a measurement for pictures: thinned, rounded, and with the worst of it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest

from pytest_gradcheck.model.evidence import KEPT_GOOD, Elements, Sweep, rounded
from pytest_gradcheck.model.jsonable import encode
from tests.render.samples import sweep


def test_a_small_tensor_is_kept_whole_in_the_order_of_its_elements() -> None:
    found = Elements.of([2, 0, 1], [1 / 3, 2.0, 3.0], [1 / 3 + 1e-9, 2.0, 3.5], [1.26e-9, 0.0, 0.1])
    assert found.positions == (0, 1, 2) and found.autograd == (2.0, 3.0, 0.333333)
    assert found.difference == (0.0, 0.5, 1e-9) and found.bars == (0.0, 0.1, 1.3e-9)


@pytest.mark.parametrize("broken", [5.0, math.nan, math.inf])
def test_a_large_one_is_thinned_evenly_and_keeps_its_worst_element(broken: float) -> None:
    numeric = [float(k) for k in range(10_000)]
    claims = list(numeric)
    claims[777] = numeric[777] + broken
    found = Elements.of(range(10_000), claims, numeric, [0.0] * 10_000, KEPT_GOOD)
    assert len(found.positions) <= KEPT_GOOD and 777 in found.positions
    assert list(found.positions) == sorted(set(found.positions))
    gaps = [b - a for a, b in zip(found.positions, found.positions[1:], strict=False)]
    assert max(gaps) < 2 * 10_000 / (KEPT_GOOD - 1)
    assert found.difference[found.positions.index(777)] != 0


def test_json_there_and_back() -> None:
    kept = Elements.of([0, 1], [1.0, math.inf], [2.0, 1.0], [0.0, 1e-300])
    for value in (kept, sweep()):
        data = json.loads(json.dumps(encode(asdict(value)), allow_nan=False))
        assert type(value).from_dict(data) == value
    none = Sweep("w", math.nan, math.nan, math.inf, math.nan, 0.0, (1.0,), (math.nan,))
    data = json.loads(json.dumps(encode(asdict(none)), allow_nan=False))
    assert repr(Sweep.from_dict(data)) == repr(none)


@pytest.mark.parametrize(("value", "digits", "kept"), [(1.23456, 3, 1.23), (-9.9996e-20, 4, -1e-19), (0.0, 2, 0.0)])
def test_rounding_is_to_digits_that_count(value: float, digits: int, kept: float) -> None:
    assert rounded(value, digits) == kept
