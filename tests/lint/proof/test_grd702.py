"""GRD702: the init function fills the one global layer each time; the others keep what they had."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def filled_layers(init: Any, net: nn.Sequential) -> list[bool]:
    net.apply(init)
    return [bool(layer.weight.eq(7).all()) for layer in net if isinstance(layer, nn.Linear)]


def test_only_the_parameter_reaches_every_layer() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))

    def bad(m: nn.Module) -> None:
        if type(m) is nn.Linear:
            nn.init.constant_(net[0].weight, 7.0)  # type: ignore[arg-type]

    def fixed(m: nn.Module) -> None:
        if type(m) is nn.Linear:
            nn.init.constant_(m.weight, 7.0)

    assert filled_layers(bad, net) == [True, False, False]
    assert filled_layers(fixed, net) == [True, True, True]
