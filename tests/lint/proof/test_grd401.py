"""GRD401: without zero_grad() the third step on one batch is 3 times as large as the first; with it, it is not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def _gradients(*, zeroed: bool) -> list[Any]:
    net = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    found = []
    for _ in range(3):
        if zeroed:
            optimizer.zero_grad()
        net(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        assert net.weight.grad is not None
        found.append(net.weight.grad.clone())
    return found


def test_step_n_uses_the_sum_of_n_gradients() -> None:
    first, second, third = _gradients(zeroed=False)
    assert torch.equal(second, 2 * first)
    assert torch.equal(third, 3 * first)


def test_zeroing_once_a_round_takes_the_symptom_away() -> None:
    first, _, third = _gradients(zeroed=True)
    assert torch.equal(third, first)
