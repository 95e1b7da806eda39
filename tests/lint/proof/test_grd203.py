"""GRD203: the bounds of a second output activation hold and are reached; one alone reaches 1."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

SURE = torch.tensor([1000.0] + [0.0] * 9)


def test_softmax_of_softmax() -> None:
    bound = math.e / (math.e + 9)
    assert round(bound, 2) == 0.23
    assert float(SURE.softmax(-1).softmax(-1).max()) == pytest.approx(bound)
    assert float((100 * torch.randn(1000, 10)).softmax(-1).softmax(-1).max()) <= bound + 1e-6
    assert float(SURE.softmax(-1).log_softmax(-1).exp().max()) == pytest.approx(bound)
    assert float(SURE.sigmoid().softmax(-1).max()) <= bound


def test_sigmoid_of_either() -> None:
    for first in (SURE.sigmoid(), (-SURE).sigmoid(), SURE.softmax(-1)):
        out = first.sigmoid()
        assert 0.5 <= float(out.min()) <= float(out.max()) <= 0.7311


def test_one_alone_is_sure() -> None:
    assert float(SURE.softmax(-1).max()) == 1
    assert float(SURE.sigmoid().max()) == 1
