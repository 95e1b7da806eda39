"""GRD406: a sum of losses keeps one graph a round, with its activations without backward(); detach() ends it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

ROUNDS = 100


def _graphs(total: Any) -> int:
    """How many losses a sum still refers to: the length of its chain of additions."""
    count, node = 0, total.grad_fn
    while node is not None and type(node).__name__ == "AddBackward0":
        count += 1
        node = node.next_functions[0][0]
    return count


@pytest.mark.parametrize("detached", [False, True])
def test_after_100_rounds_a_sum_holds_100_graphs(detached: bool) -> None:
    net, total = nn.Linear(2, 1), 0.0
    for _ in range(ROUNDS):
        loss = net(torch.ones(1, 2)).sum()
        loss.backward()
        total = total + (loss.detach() if detached else loss)
    assert _graphs(total) == (0 if detached else ROUNDS)


def _alive(*, detached: bool) -> int:
    """How many rounds' activations are alive after a loop that never differentiates."""
    net, kept, saved = nn.Linear(2, 1), [], []
    for _ in range(ROUNDS):
        activation = torch.ones(1, 2) * 2
        saved.append(weakref.ref(activation))
        loss = net(activation).exp().sum()
        kept.append(loss.detach() if detached else loss)
        del activation, loss
    gc.collect()
    return sum(each() is not None for each in saved)


def test_without_backward_all_activations_stay() -> None:
    assert _alive(detached=False) == ROUNDS
    assert _alive(detached=True) == 0


def test_detach_keeps_the_value() -> None:
    loss = nn.Linear(2, 1)(torch.ones(1, 2)).sum()
    assert torch.equal(loss, loss.detach())
    assert loss.detach().grad_fn is None
