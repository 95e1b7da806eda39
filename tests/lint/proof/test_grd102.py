"""GRD102: units with equal weights stay one unit; after the fix they differ."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def distinct_rows(value: float | None, steps: int = 200) -> int:
    torch.manual_seed(0)
    net: Any = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    first = net[0]
    if value is not None:
        for layer in (net[0], net[2]):
            nn.init.constant_(layer.weight, value)
            nn.init.zeros_(layer.bias)
    x, y = torch.randn(64, 8), torch.randn(64, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = first.weight.detach().clone()
    for _ in range(steps):
        optimizer.zero_grad()
        loss: Any = nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
    assert value == 0 or not torch.equal(before, first.weight)
    return len(torch.unique(first.weight.detach(), dim=0))


def test_a_constant_leaves_one_distinct_row_after_200_steps() -> None:
    assert distinct_rows(0.5) == 1
    assert distinct_rows(None) == 16


def test_zeros_in_a_hidden_layer_pass_no_gradient_on() -> None:
    net: Any = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    hidden, first = net[2], net[0]
    nn.init.zeros_(hidden.weight)
    net(torch.randn(8, 4)).sum().backward()
    assert first.weight.grad.abs().max() == 0


def test_a_single_linear_layer_learns_from_a_constant() -> None:
    torch.manual_seed(0)
    layer: Any = nn.Linear(4, 3)
    nn.init.constant_(layer.weight, 0.5)
    loss: Any = nn.functional.cross_entropy(layer(torch.randn(32, 4)), torch.randint(3, (32,)))
    loss.backward()
    assert len(torch.unique(layer.weight.grad, dim=0)) == 3
