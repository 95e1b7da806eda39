"""GRD212: the derivatives on the page, and the fixed stack's larger gradient."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


@pytest.mark.parametrize(("function", "at_zero", "at_three"), [(torch.sigmoid, 0.25, 0.045), (torch.tanh, 1.0, 0.0099)])
def test_the_derivatives(function: Any, at_zero: float, at_three: float) -> None:
    x = torch.tensor([0.0, 3.0], requires_grad=True)
    function(x).sum().backward()
    assert x.grad.tolist() == pytest.approx([at_zero, at_three], rel=0.01)


def test_relu_gives_the_first_layer_a_larger_gradient() -> None:
    def gradient(activation: nn.Module) -> float:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(784, 256), activation, nn.Linear(256, 10))
        loss: Any = nn.functional.cross_entropy(net(torch.rand(64, 784)), torch.randint(10, (64,)))
        loss.backward()
        first: Any = net[0]
        return float(first.weight.grad.norm())

    assert gradient(nn.ReLU()) > 2 * gradient(nn.Sigmoid())
