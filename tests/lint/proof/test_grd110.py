"""GRD110: the exact test passes over a subclass; isinstance does not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Mine(nn.Linear):
    pass


def filled(test: Any) -> bool:
    layer = Mine(2, 2)

    def init(m: Any) -> None:
        if test(m):
            nn.init.constant_(m.weight, 7.0)

    layer.apply(init)
    return bool(layer.weight.eq(7).all())


def test_only_isinstance_reaches_a_subclass() -> None:
    assert not filled(lambda m: type(m) is nn.Linear)
    assert filled(lambda m: isinstance(m, nn.Linear))


def test_lazy_layers_are_of_another_type_until_they_run() -> None:
    assert type(nn.LazyLinear(3)) is not nn.Linear
    assert isinstance(nn.LazyLinear(3), nn.Linear)
