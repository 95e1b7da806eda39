"""GRD109: an early apply, a filled copy and a returned tensor leave the weights alone; the fixed code fills them."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def fill(m: Any) -> None:
    if isinstance(m, nn.Linear):
        nn.init.constant_(m.weight, 7.0)


class Net(nn.Module):
    def __init__(self, *, early: bool) -> None:
        super().__init__()
        if early:
            self.apply(fill)
        self.fc = nn.Linear(2, 2)
        if not early:
            self.apply(fill)


def test_apply_reaches_only_layers_that_exist() -> None:
    assert not Net(early=True).fc.weight.eq(7).any()
    assert Net(early=False).fc.weight.eq(7).all()


def test_a_copy_is_filled_and_thrown_away() -> None:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight.clone(), 7.0)
    assert not layer.weight.eq(7).any()
    nn.init.constant_(layer.weight, 7.0)
    assert layer.weight.eq(7).all()


def test_apply_ignores_what_is_returned() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    before = net[0].weight.clone()  # type: ignore[operator]
    returning: Any = lambda m: torch.randn_like(m.weight) if isinstance(m, nn.Linear) else None  # noqa: E731
    net.apply(returning)
    assert torch.equal(before, net[0].weight)
