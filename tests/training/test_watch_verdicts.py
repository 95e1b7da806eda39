"""What `watch` says of layers that no gradient reached, of errors, and of what a loop computes from its outputs."""

from __future__ import annotations

import math
import unittest
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.training import watch
from pytest_gradcheck.training.calls import KEPT

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Net(nn.Module):
    """Three layers, and a line of one's own."""

    step: int

    def __init__(self, formula: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.formula, self.step = formula, 0
        self.body, self.middle, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.formula(self, inputs)


def all_layers(net: Net, x: torch.Tensor) -> torch.Tensor:
    scores: torch.Tensor = net.head(net.middle(net.body(x).relu()).relu())
    return scores


def backward(loss: torch.Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def findings(
    net: Net, loss: Callable[[torch.Tensor], torch.Tensor] = lambda out: F.cross_entropy(out, Y), **options: Any
) -> list[tuple[str, str | None]]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer, **options) as seen:
        for net.step in range(4):
            optimizer.zero_grad()
            backward(loss(net(X)))
            optimizer.step()
    return [(each.rule, each.module) for each in seen.health.findings]


@pytest.mark.parametrize("share", [None, 0.0])
def test_a_layer_that_is_used_from_a_later_step_on_is_not_detached(share: float | None) -> None:
    def late(net: Net, x: torch.Tensor) -> torch.Tensor:
        hidden = net.body(x).relu()
        scores: torch.Tensor = net.head(hidden + (net.middle(hidden) if net.step >= 3 else 0))
        return scores

    assert findings(Net(late), max_overhead=share) == []


def test_a_branch_that_is_detached_before_a_softmax_is_found() -> None:
    def probabilities(net: Net, x: torch.Tensor) -> torch.Tensor:
        hidden = net.body(x).relu()
        chances: torch.Tensor = net.head(hidden + net.middle(hidden).detach()).softmax(1)
        return chances

    got = findings(Net(probabilities), lambda out: -out.gather(1, Y[:, None]).log().mean())
    assert got == [("detached", "middle")]


def two(net: Net) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    first = torch.optim.SGD(net.body.parameters(), lr=0.1)
    return first, torch.optim.SGD([*net.middle.parameters(), *net.head.parameters()], lr=0.1)


@pytest.mark.parametrize("factor", [1.0, math.nan])
def test_what_an_optimizer_holds_that_did_not_come_to_its_step_is_not_left_out(factor: float) -> None:
    net = Net(all_layers)
    first, second = two(net)
    with watch(net, [first, second], stop=False) as seen:
        backward(F.cross_entropy(net(X), Y) * factor)
        first.step()
    assert (seen.failure is None) is (factor == 1)
    assert [each.rule for each in seen.health.findings] == []


def test_what_no_optimizer_was_given_is_left_out_still() -> None:
    net = Net(all_layers)
    first, _ = two(net)
    with watch(net, [first]) as seen:
        backward(F.cross_entropy(net(X), Y))
        first.step()
    assert [each.rule for each in seen.health.findings] == ["left out"]


@pytest.mark.parametrize("micro_batches", [KEPT, KEPT + 4])
def test_operations_inside_the_model_are_never_the_loops_own(micro_batches: int) -> None:
    net = Net(lambda net, x: (hidden := all_layers(net, x).exp()) / (1 + hidden))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with watch(net, optimizer, stop=False) as seen:
        for each in range(micro_batches):
            backward((net(X) + (2 if each else -9)).log().mean())
        optimizer.step()
    assert seen.failure is not None
    said = " | ".join(seen.failure.evidence)
    assert "exp" not in said
    assert "div" not in said
    assert ("of what it computes, log can give" in said) is (micro_batches == KEPT)
    # the call that went wrong is not among those that were kept: nothing is said of it
    assert ("forward calls the last 16 were kept" in said) is (micro_batches > KEPT)
    assert seen.failure.reproduced is (micro_batches == KEPT)


def sick(net: Net, x: torch.Tensor) -> torch.Tensor:
    return all_layers(net, x).sub(99).log()


@pytest.mark.parametrize(
    "error",
    [
        unittest.SkipTest("no data, nan"),
        KeyError("accuracy"),
        AssertionError("0.3"),
        RuntimeError("shape '[7]' is invalid"),
    ],
)
def test_an_error_that_no_number_raised_is_the_loops(error: Exception) -> None:
    net = Net(sick)
    with pytest.raises(type(error)), watch(net, torch.optim.SGD(net.parameters(), lr=0.1)):
        net(X)
        raise error


def test_scores_that_are_masked_are_no_reason_for_an_error() -> None:
    net = Net(lambda net, x: all_layers(net, x).masked_fill(torch.tensor([True, False, False]), -math.inf))
    with pytest.raises(ValueError, match="no such action"), watch(net, torch.optim.SGD(net.parameters(), lr=0.1)):
        net(X)
        raise ValueError("no such action")


@pytest.mark.parametrize("error", [ValueError("the run has diverged"), AssertionError("the loss is nan")])
def test_an_error_over_a_number_is_the_numbers(error: Exception) -> None:
    net = Net(sick)
    with pytest.raises(TrainingFailure, match=r"aten\.log"), watch(net, torch.optim.SGD(net.parameters(), lr=0.1)):
        net(X)
        raise error
