"""GRD405: a step between forward and backward() never learns, or learns from the round before, or cannot run at all."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def _run(loop: list[str], net: Any, rounds: int = 3) -> list[Any]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    names = {"net": net, "torch": torch, "optimizer": optimizer}
    found = [net[0].weight.detach().clone()]
    for number in range(rounds):
        exec("\n".join(loop), {**names, "x": torch.full((1, 2), float(number + 1))})
        found.append(net[0].weight.detach().clone())
    return found


FORWARD, STEP, BACKWARD, ZERO = "loss = net(x).sum()", "optimizer.step()", "loss.backward()", "optimizer.zero_grad()"


def test_zeroed_at_the_top_the_weights_never_change() -> None:
    first, *_, last = _run([ZERO, FORWARD, STEP, BACKWARD], nn.Sequential(nn.Linear(2, 1)))
    assert torch.equal(first, last)
    first, *_, last = _run([ZERO, FORWARD, BACKWARD, STEP], nn.Sequential(nn.Linear(2, 1)))
    assert not torch.equal(first, last)


def test_else_a_step_uses_the_gradient_of_the_round_before() -> None:
    start, one, two, _ = _run([FORWARD, STEP, ZERO, BACKWARD], nn.Sequential(nn.Linear(2, 1)))
    assert torch.equal(start, one)
    torch.testing.assert_close(one - two, torch.full((1, 2), 0.1 * 1.0))  # x of round 1, used in round 2


def test_two_layers_raise() -> None:
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        _run([FORWARD, STEP, ZERO, BACKWARD], nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)))
