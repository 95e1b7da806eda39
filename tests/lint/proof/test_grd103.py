"""GRD103: small weights make the signal vanish at the printed rate; the fix keeps it."""

from __future__ import annotations

from math import sqrt

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def spread(depth: int, std: float | None, width: int = 256) -> float:
    torch.manual_seed(0)
    with torch.no_grad():
        x = torch.randn(256, width)
        for _ in range(depth):
            weight = torch.empty(width, width)
            if std is None:
                nn.init.kaiming_normal_(weight, nonlinearity="relu")
            else:
                nn.init.normal_(weight, std=std)
            x = torch.relu(x @ weight.T)
    return float(x.std())


def test_the_numbers_on_the_page() -> None:
    assert 0.01 * sqrt(256 / 2) == pytest.approx(0.11, abs=0.005)
    assert 1e-10 < spread(10, 0.01) < 5e-10
    assert 0.2 < spread(10, None) < 2


@pytest.mark.parametrize("depth", [4, 8])
def test_the_printed_product_is_what_is_left(depth: int) -> None:
    assert spread(depth, 0.01) / spread(depth, None) == pytest.approx((0.01 * sqrt(128)) ** depth, rel=1)
