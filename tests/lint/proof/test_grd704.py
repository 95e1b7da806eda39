"""GRD704: a method that is only named does nothing; the safe fix, the call, takes the symptom away."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

LOOP = """
for _ in range(3):
    optimizer.{zero_grad}
    net(torch.ones(1, 2)).sum().{backward}
    optimizer.{step}
net.{eval}
"""
CALLED = dict.fromkeys(("zero_grad", "backward", "step", "eval"), "()")


def run(missing: str) -> Any:
    net = nn.Linear(2, 1)
    nn.init.zeros_(net.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    calls = {name: name + ("" if name == missing else call) for name, call in CALLED.items()}
    exec(LOOP.format(**calls), {"torch": torch, "net": net, "optimizer": optimizer})
    return net


def test_without_zero_grad_the_gradient_of_three_steps_adds_up() -> None:
    once = run("nothing").weight.grad
    assert torch.equal(run("zero_grad").weight.grad, 3 * once)


@pytest.mark.parametrize("missing", ["backward", "step"])
def test_without_backward_or_step_nothing_is_learnt(missing: str) -> None:
    assert run(missing).weight.eq(0).all()
    assert run("nothing").weight.ne(0).all()


def test_without_eval_the_mode_stays() -> None:
    assert run("eval").training
    assert not run("nothing").training
