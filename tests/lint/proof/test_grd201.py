"""GRD201: the printed bounds hold in torch, the bad example shows the symptom and the fixed one does not."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def stack(depth: int, activation: type[nn.Module], width: int = 64, *, gain: float | None = None) -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(*[each for _ in range(depth) for each in (nn.Linear(width, width), activation())])
    for layer in net:
        if gain is not None and isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, gain=gain)
    return net


def ratio(net: Any) -> float:
    """The gradient of the first layer's weight over that of the last one's."""
    net(torch.randn(32, net[0].in_features)).square().sum().backward()
    return float(net[0].weight.grad.norm() / net[-2].weight.grad.norm())


@pytest.mark.parametrize("depth", [4, 8, 16])
def test_the_sigmoid_bound_holds_times_the_weights(depth: int) -> None:
    net = stack(depth, nn.Sigmoid).double()
    x = torch.randn(1, 64, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(net, x).reshape(64, 64)
    weights = math.prod(float(torch.linalg.matrix_norm(each.weight.detach(), 2)) for each in net[::2])
    assert 0 < float(torch.linalg.matrix_norm(jacobian, 2)) <= 0.25**depth * weights


def test_the_bound_is_reached_so_it_cannot_be_smaller() -> None:
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.sigmoid(x).backward()
    assert float(x.grad) == 0.25
    y = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch.tanh(y).backward()
    assert float(y.grad) == 1.0


@pytest.mark.parametrize(("depth", "stated"), [(4, 6e-4), (8, 2e-7), (16, 3e-14)])
def test_the_ratios_on_the_page(depth: int, stated: float) -> None:
    assert stated / 5 < ratio(stack(depth, nn.Sigmoid).double().float()) < stated * 5


def test_the_fix_takes_the_symptom_away() -> None:
    bad, fixed = ratio(stack(16, nn.Sigmoid)), ratio(stack(16, nn.ReLU))
    assert bad < 0.25**16
    assert fixed > 1e5 * bad


@pytest.mark.parametrize("depth", [8, 16])
def test_default_tanh_shrinks_by_about_the_gain_and_xavier_does_not(depth: int) -> None:
    shrunk = (1 / math.sqrt(3)) ** depth
    assert shrunk / 5 < ratio(stack(depth, nn.Tanh)) < shrunk * 5
    assert ratio(stack(depth, nn.Tanh, gain=5 / 3)) > 0.1
