"""GRD614: the statistic's graph grows by two nodes a step and breaks the second backward; detached it does neither."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Norm(nn.Module):
    def __init__(self, fixed: bool) -> None:
        super().__init__()
        self.fixed = fixed
        self.register_buffer("mean", torch.zeros(3))
        self.mean: Any

    def forward(self, x: Any) -> Any:
        new = 0.9 * self.mean + 0.1 * x.mean(0)
        self.mean = new.detach() if self.fixed else new
        return x - self.mean


def nodes(tensor: Any) -> int:
    """The length of the chain that leads from statistic to statistic."""
    length, node = 0, tensor.grad_fn
    while node is not None:
        length += 1
        node = next((below for below, _ in node.next_functions if below is not None), None)
    return length


def chain(norm: Norm, steps: int) -> int:
    layer = nn.Linear(3, 3)
    for _ in range(steps):
        norm(layer(torch.randn(4, 3)))
    return nodes(norm.mean)


def test_the_chain_grows_by_two_nodes_a_step() -> None:
    assert chain(Norm(fixed=False), 60) - chain(Norm(fixed=False), 10) == 2 * 50
    assert chain(Norm(fixed=True), 60) == 0


def train(norm: Norm) -> list[float]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        norm(layer(torch.randn(4, 3))).pow(2).mean().backward()
        optimizer.step()
        seen.append(float(norm.mean.detach().sum()))
    return seen


def test_the_second_backward_raises_and_the_fixed_one_trains() -> None:
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        train(Norm(fixed=False))
    assert len(train(Norm(fixed=True))) == 3


def test_the_numbers_are_the_same() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, requires_grad=True)
    assert torch.equal(Norm(fixed=False)(x), Norm(fixed=True)(x))
