"""GRD105: torch's default initialisation leaves the stated share of signal and gradient in each layer."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def stack(depth: int, activation: type[nn.Module], *, bias: bool = True, width: int = 256) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(*[each for _ in range(depth) for each in (nn.Linear(width, width, bias=bias), activation())])


def gradient(net: Any) -> float:
    x = torch.randn(64, net[0].in_features, requires_grad=True)
    net(x).sum(1).mean().backward()
    return float(x.grad.norm())


def test_the_default_has_gain_one_over_root_three() -> None:
    torch.manual_seed(0)
    assert float(nn.Linear(256, 256).weight.detach().std()) * 16 == pytest.approx(3**-0.5, rel=0.02)
    conv = nn.Conv2d(32, 256, 3)
    assert float(conv.weight.detach().std()) * sqrt(32 * 9) == pytest.approx(3**-0.5, rel=0.02)


def test_thirty_relu_layers_without_bias_give_nothing() -> None:
    with torch.no_grad():
        out = stack(30, nn.ReLU, bias=False)(torch.randn(256, 256))
    assert 2e-13 < float(out.std()) < 5e-12


@pytest.mark.parametrize(("activation", "each"), [(nn.ReLU, 6**-0.5), (nn.Tanh, 3**-0.5), (nn.Sigmoid, 0.25 * 3**-0.5)])
def test_each_layer_leaves_about_the_stated_share(activation: type[nn.Module], each: float) -> None:
    share = (gradient(stack(12, activation)) / gradient(stack(4, activation))) ** (1 / 8)
    assert share == pytest.approx(each, rel=0.15)


def test_he_initialisation_keeps_the_gradient() -> None:
    net = stack(12, nn.ReLU)
    lost = gradient(net)
    for layer in net[::2]:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    assert gradient(net) > 1e4 * lost
