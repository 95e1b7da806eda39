"""What the health rules excuse is bounded: a trend by depth, dead units, a net that has learned."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.model.health import LayerFlow
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training import gradient_flow, rules, train_smoke
from pytest_gradcheck.training.verdicts import counted_gradients
from tests.training.test_real_models import Calling, X, Y, half, mlp


@pytest.mark.parametrize(("scale", "found"), [(0.01, []), (1e-12, ["vanishing"])])
def test_two_halves_may_differ_in_scale_but_not_without_bound(scale: float, found: list[str]) -> None:
    torch.manual_seed(0)
    net = Calling(lambda self, x: self.last(scale * self.first(x)), first=half(20, 64), last=half(64, 4))
    assert [each.rule for each in gradient_flow(net, (X, Y)).symptoms] == found


@pytest.mark.parametrize(("decades", "found"), [(2.9, []), (3.1, ["vanishing"])])
def test_one_step_is_excused_up_to_three_decades(decades: float, found: list[str]) -> None:
    norms = [1.0, 1.0, 10**decades, 10**decades]
    layers = [LayerFlow(str(place), "Linear", norm, 1.0, 1.0) for place, norm in enumerate(norms)]
    assert [each.rule for each in rules.of_layers(layers, Limits())] == found


def spiked(step: int) -> float:
    return 0.2 if step == 10 else 0.0005


def test_units_that_die_while_the_loss_comes_down_to_guessing_are_named() -> None:
    def net() -> nn.Module:
        torch.manual_seed(0)
        return mlp()

    run = train_smoke(
        net, [(X.abs() * 255, Y)], lr=spiked, steps=33, remedies=None, max_overhead=None
    )  # fmt: skip
    assert run.loss[-1] < run.loss[0] / 2
    dead = [(each.module, each.step) for each in run.health.findings if each.rule == "dead ReLU"]
    assert dead == [("1", 16)]


def test_a_classifier_has_learned_only_below_half_of_guessing() -> None:
    guessing = math.log(4)
    assert not rules.has_learned(1.4, 23.0, guessing)
    assert not rules.has_learned(guessing / 1.9, 23.0, guessing)
    assert rules.has_learned(guessing / 2.1, 23.0, guessing)
    assert rules.has_learned(1.4, 23.0)  # a regression: nothing is known of guessing


def test_dead_units_of_a_net_that_has_learned_are_named_and_saturation_is_not() -> None:
    layer = LayerFlow("1", "ReLU", None, None, 1.0, dead=0.7, saturated=0.7)
    assert [each.rule for each in rules.of_learned([layer], Limits())] == ["dead ReLU"]


def test_a_classifier_may_look_its_words_up_in_a_table_of_its_own_with_sparse_gradients() -> None:
    def look_up(self: Any, words: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.last(F.embedding(words, self.table, sparse=True).mean(1))
        return scores

    def net() -> nn.Module:
        made = Calling(look_up, last=nn.Linear(8, 4))
        made.table = nn.Parameter(torch.randn(50, 8))
        return made

    words = torch.arange(96).view(32, 3) % 50
    assert train_smoke(net, [(words, Y)], steps=3).passed
    grads = counted_gradients(after_backward(net(), words), set())
    assert sum(grad.numel() for grad in grads) == 50 * 8 + 4 * 8 + 4


def after_backward(net: nn.Module, words: torch.Tensor) -> nn.Module:
    F.cross_entropy(net(words), Y).backward()  # type: ignore[no-untyped-call]
    return net
