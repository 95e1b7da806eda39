"""GRD101: Xavier with gain 1 halves the variance per ReLU layer, He initialisation does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def he(weight: Any) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def net(depth: int, scheme: Callable[[Any], Any], width: int = 256) -> Any:
    torch.manual_seed(0)
    layers: list[Any] = [each for _ in range(depth) for each in (nn.Linear(width, width), nn.ReLU())]
    for layer in layers[::2]:
        scheme(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def spread(model: Any) -> float:
    with torch.no_grad():
        return float(model(torch.randn(512, model[0].in_features)).std())


@pytest.mark.parametrize(("depth", "stated"), [(10, 2e-2), (30, 1e-5)])
def test_the_numbers_on_the_page(depth: int, stated: float) -> None:
    shrunk = spread(net(depth, nn.init.xavier_uniform_))
    assert stated / 3 < shrunk < stated * 3
    assert 2 ** (-depth / 2) / 3 < shrunk < 2 ** (-depth / 2) * 3
    assert 0.2 < spread(net(depth, he)) < 2


def test_the_gradient_shrinks_the_same_way() -> None:
    def gradient(scheme: Callable[[Any], Any]) -> float:
        x = torch.randn(64, 256, requires_grad=True)
        net(10, scheme)(x).sum(1).mean().backward()
        return float(x.grad.norm())

    assert 2**-5 / 3 < gradient(nn.init.xavier_uniform_) / gradient(he) < 2**-5 * 3
