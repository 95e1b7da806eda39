"""GRD104: unit normal weights scale the signal by the square root of the number of inputs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def spread(depth: int, std: float, width: int = 256) -> float:
    torch.manual_seed(0)
    with torch.no_grad():
        x = torch.randn(256, width)
        for _ in range(depth):
            x = x @ nn.init.normal_(torch.empty(width, width), std=std).T
    return float(x.std())


def test_the_numbers_on_the_page() -> None:
    assert spread(1, 1.0) == pytest.approx(16, rel=0.1)
    assert spread(5, 1.0) == pytest.approx(1e6, rel=0.3)
    assert spread(5, 256**-0.5) == pytest.approx(1, rel=0.3)
