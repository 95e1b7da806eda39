"""GRD211: the first layer's gradient over the last's, and how alike gradients stay, plain, normalised and residual."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

WIDTH = 64


class Residual(nn.Module):
    """A skip connection around a block."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Any) -> Any:
        return x + self.block(x)


def stack(kind: str, depth: int, seed: int, *, he: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    blocks: list[nn.Module] = []
    for _ in range(depth):
        linear = nn.Linear(WIDTH, WIDTH)
        if he:
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
        norm = [nn.LayerNorm(WIDTH)] if kind == "norm" else []
        block = nn.Sequential(linear, *norm, nn.ReLU())
        blocks.append(Residual(block) if kind == "residual" else block)
    return nn.Sequential(*blocks)


def ratio(kind: str, depth: int) -> float:
    """The gradient's norm at the first weight over that at the last; the median of five initialisations."""
    found = []
    for seed in range(5):
        net = stack(kind, depth, seed)
        net(torch.randn(64, WIDTH)).square().mean().backward()
        norms = [float(p.grad.norm()) for p in net.parameters() if p.dim() == 2 and p.grad is not None]
        found.append(norms[0] / norms[-1])
    return median(found)


def likeness(kind: str, depth: int) -> float:
    """The cosine between the gradients of similar inputs, with He initialisation; the mean of five."""
    found = []
    for seed in range(5):
        net = stack(kind, depth, seed, he=True)
        one = torch.randn(64, WIDTH, requires_grad=True)
        other = (one.detach() + 0.3 * torch.randn(64, WIDTH)).requires_grad_()
        weight = torch.randn(WIDTH)
        gradients = [torch.autograd.grad((net(x) * weight).sum(), x)[0] for x in (one, other)]
        found.append(float(torch.cosine_similarity(*gradients).mean()))
    return sum(found) / len(found)


@pytest.mark.parametrize(("depth", "expected"), [(10, 1e-3), (20, 1e-7), (30, 1e-11)])
def test_plain_stacks_lose_the_gradient(depth: int, expected: float) -> None:
    assert expected / 5 < ratio("plain", depth) < expected * 5


@pytest.mark.parametrize("kind", ["norm", "residual"])
@pytest.mark.parametrize("depth", [10, 20, 30])
def test_normalisation_and_skip_connections_keep_it(kind: str, depth: int) -> None:
    assert 0.1 <= round(ratio(kind, depth), 1) <= 0.4


def test_he_initialisation_keeps_the_size_but_not_the_likeness() -> None:
    assert likeness("plain", 2) > 0.75
    assert likeness("plain", 30) < 0.3
    assert likeness("residual", 30) > 0.8
