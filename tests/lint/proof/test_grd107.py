"""GRD107: nothing of the first initialisation is left, and the tensor that was meant keeps its default."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def test_the_second_call_overwrites_the_first() -> None:
    layer = nn.Linear(3, 3)
    default = layer.bias.detach().clone()
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.weight)
    assert layer.weight.eq(0).all()
    assert torch.equal(layer.bias, default)
    assert torch.equal(layer(torch.randn(2, 3)), default.expand(2, 3))


def test_the_fixed_one_sets_both() -> None:
    layer = nn.Linear(3, 3)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    assert torch.equal(layer(torch.ones(1, 3)), torch.full((1, 3), 3.0))
