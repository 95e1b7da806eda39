"""GRD613: behind a break in forward, the layers before it are never trained."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


class Net(nn.Module):
    def __init__(self, way: Any) -> None:
        super().__init__()
        self.body, self.head, self.way = nn.Linear(8, 8), nn.Linear(8, 2), way

    def forward(self, x: Any) -> Any:
        return self.head(self.way(torch.tanh(self.body(x))))


def trained(way: Any) -> int:
    net = Net(way)
    net(torch.ones(1, 8)).sum().backward()
    return sum(p.grad is not None and bool(p.grad.ne(0).any()) for p in net.parameters())


@pytest.mark.filterwarnings("ignore:To copy construct")
@pytest.mark.parametrize(
    "way",
    [
        lambda h: h.data,
        lambda h: torch.from_numpy(h.detach().numpy()),
        lambda h: torch.tensor(h.tolist()),
        lambda h: torch.tensor(h),
        lambda h: torch.ones(1, 8) * h.sum().item(),
    ],
)
def test_two_of_four_parameter_tensors_are_trained(way: Any) -> None:
    assert trained(way) == 2
    assert trained(lambda h: h) == 4


def test_numpy_itself_raises() -> None:
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        nn.Linear(2, 2)(torch.ones(2)).numpy()
