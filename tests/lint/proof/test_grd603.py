"""GRD603: a layer made in forward is random again in every call, and no optimizer ever holds it."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Bad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.made: list[Any] = []

    def forward(self, x: Any) -> Any:
        layer = nn.Linear(8, 1)
        self.made.append(layer.weight)
        return layer(self.body(x))


class Good(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, x: Any) -> Any:
        return self.fc(self.body(x))


def test_one_input_gives_two_outputs() -> None:
    torch.manual_seed(0)
    x = torch.ones(1, 8)
    assert not torch.equal((net := Bad())(x), net(x))
    assert torch.equal((good := Good())(x), good(x))


def test_a_hundred_steps_make_a_hundred_sets_of_weights_and_train_none() -> None:
    torch.manual_seed(0)
    net, x = Bad(), torch.randn(4, 8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = []
    for _ in range(100):
        optimizer.zero_grad()
        net(x).sum().backward()
        before.append(net.made[-1].detach().clone())
        optimizer.step()
    assert len({id(weight) for weight in net.made}) == 100
    assert all(torch.equal(weight, first) for weight, first in zip(net.made, before, strict=True))
    assert set(net.state_dict()) == {"body.weight", "body.bias"}
