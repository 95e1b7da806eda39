"""Layers that no gradient reaches: which are cut off from the loss, and which are merely left out of it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.model import TrainingReport
from pytest_gradcheck.training import gradient_flow, train_smoke
from pytest_gradcheck.training.budget import Budget
from tests.training.test_real_models import Calling, X, Y, mlp, teacher


def forwards(model: nn.Module) -> list[None]:
    """Grows by one a forward."""
    seen: list[None] = []
    model.register_forward_pre_hook(lambda *_: seen.append(None))
    return seen


def said(run: TrainingReport) -> list[tuple[str, str | None, str]]:
    return [(each.rule, each.module, each.level) for each in run.health.findings]


def unused(draws: Callable[[], float]) -> nn.Module:
    def both(self: Any, inputs: torch.Tensor) -> Any:
        self.aside(inputs)
        return self.net(inputs) * draws()

    return Calling(both, net=mlp(), aside=nn.Linear(20, 4))


def test_an_unused_layer_of_a_net_that_draws_its_own_numbers_is_not_called_detached() -> None:
    model = unused(random.SystemRandom().random)
    assert gradient_flow(model, (X, Y)).symptoms == ()
    assert said(train_smoke(model, [(X, Y)], steps=3, remedies=None)) == []


def test_an_unused_layer_beside_a_loss_that_is_nan_is_not_called_detached() -> None:
    assert [each.rule for each in gradient_flow(unused(lambda: math.nan), (X, Y)).symptoms] == [
        "exploding",
        "initial loss",
    ]


def aside(heads: int) -> nn.Module:
    """Unused heads, and after them a layer whose output is detached."""

    def forward(self: Any, inputs: torch.Tensor) -> Any:
        hidden = self.stem(inputs).relu()
        for head in self.heads:
            head(hidden)
        return self.last(hidden + (self.cut(hidden).detach() if heads % 2 == 0 else 0))

    unread = nn.ModuleList(nn.Linear(64, 4) for _ in range(heads))
    return Calling(forward, stem=nn.Linear(20, 64), heads=unread, cut=nn.Linear(64, 64), last=nn.Linear(64, 4))


@pytest.mark.parametrize("heads", [2, 8, 100])
def test_the_detached_layer_is_found_among_any_number_of_unused_ones(heads: int) -> None:
    assert [(each.rule, each.module) for each in gradient_flow(aside(heads), (X, Y)).symptoms] == [("detached", "cut")]
    run = train_smoke(aside(heads), [(X, Y)], steps=3, remedies=None)
    assert said(run) == [("detached", "cut", "error")]


def test_unused_layers_cost_two_forwards_however_many_they_are() -> None:
    model = aside(99)
    seen = forwards(model)
    run = train_smoke(model, [(X, Y)], steps=3, remedies=None)
    assert said(run) == []
    assert len(seen) == 3 + 2


def test_the_forwards_that_look_for_detached_layers_are_in_what_watching_took(monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[str] = []
    add = Budget.add

    def note(self: Any, kind: str, seconds: float) -> None:
        charged.append(kind)
        add(self, kind, seconds)

    monkeypatch.setattr("pytest_gradcheck.training.budget.Budget.add", note)
    train_smoke(aside(3), [(X, Y)], steps=3, remedies=None)
    assert charged.count("reach") == 2


def test_after_the_first_detached_layer_others_are_named_as_the_budget_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: Any, inputs: torch.Tensor) -> Any:
        return self.last(self.trunk(inputs).detach())

    def searched(allows: bool) -> tuple[list[str], int]:
        monkeypatch.setattr("pytest_gradcheck.training.budget.Budget.allows", lambda *_: allows)
        model = Calling(forward, trunk=mlp(20, 64), last=nn.Linear(64, 4))
        seen = forwards(model)
        run = train_smoke(model, [(X, Y)], steps=3, remedies=None)
        return [each.message for each in run.health.findings if each.rule == "detached"], len(seen) - 3

    (few,), spent = searched(allows=False)
    (more,), all_spent = searched(allows=True)
    assert "more;" not in few
    assert "so it is in 2 more;" in more
    assert spent < all_spent


def trunk(head: Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor] | None = None) -> nn.Module:
    def forward(self: Any, inputs: torch.Tensor) -> Any:
        with torch.no_grad():
            hidden = self.trunk(inputs).relu()
        return self.last(hidden) if head is None else head(self, hidden, inputs)

    return Calling(forward, trunk=nn.Linear(20, 64), last=nn.Linear(64, 4), beside=nn.Linear(20, 4))


def test_a_trunk_that_ran_under_no_grad_by_accident_is_a_warning() -> None:
    run = train_smoke(trunk, [(X, Y)], steps=4, remedies=None)
    assert said(run) == [("detached", "trunk", "warning")]
    assert run.passed
    assert run.health.findings[0].message == (
        "it ran under no_grad, and whatever is trained sees the batch only through that; "
        "where it is meant, requires_grad_(False) says so"
    )
    assert [(each.rule, each.level) for each in gradient_flow(trunk(), (X, Y)).symptoms] == [("detached", "warning")]


def test_layers_under_no_grad_beside_others_that_see_the_batch_are_meant_to_be_fixed() -> None:
    beside = trunk(lambda self, hidden, inputs: self.last(hidden) + self.beside(inputs))
    for model in (beside, teacher()):
        assert said(train_smoke(model, [(X, Y)], steps=3, remedies=None)) == []
        assert gradient_flow(model, (X, Y)).symptoms == ()


def test_a_trunk_that_is_frozen_is_none() -> None:
    model = trunk()
    model.trunk.requires_grad_(False)
    assert said(train_smoke(model, [(X, Y)], steps=3, remedies=None)) == []


def test_a_net_that_asserts_about_its_outputs_is_searched_layer_by_layer() -> None:
    def forward(self: Any, inputs: torch.Tensor) -> Any:
        first, second = self.first(inputs), self.second(inputs)
        if bool((first[0] > 0.9).all() and (second[0] > 0.9).all()):
            raise ValueError("both at once")
        return self.last(inputs) + first.detach()

    model = Calling(forward, first=nn.Linear(20, 4), second=nn.Linear(20, 4), last=nn.Linear(20, 4))
    with torch.no_grad():
        for layer in (model.first, model.second):
            layer.weight.zero_()  # type: ignore[union-attr, operator]
            layer.bias.zero_()  # type: ignore[union-attr, operator]
    symptoms = gradient_flow(model, (X, Y), loss=F.cross_entropy).symptoms
    assert [(each.rule, each.module) for each in symptoms] == [("detached", "first")]
