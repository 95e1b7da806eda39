"""Watching keeps to its share of the time, and what it then misses is found by running again from the seed."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.training import train_smoke
from pytest_gradcheck.training.budget import Budget
from pytest_gradcheck.training.reader import Reader
from pytest_gradcheck.training.sentinel import FIRST_FULL, FIRST_THIN, FULL_EVERY, THIN_EVERY, Look, Sentinel

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def looked(budget: Budget, clock: Clock, seconds: float, kind: str = "full look") -> None:
    with budget.charge(kind):
        clock.now += seconds


def test_a_look_is_allowed_when_it_fits_the_share_of_the_time_besides() -> None:
    clock = Clock()
    budget = Budget(0.1, grace=0.0, clock=clock)
    assert budget.allows("full look")  # never measured
    looked(budget, clock, 1.0)
    looked(budget, clock, 1.0)
    assert not budget.allows("full look")
    clock.now += 29.9
    assert not budget.allows("full look")
    clock.now += 0.2
    assert budget.allows("full look")
    assert budget.overhead == pytest.approx(2 / 30.1)


def test_the_first_look_warms_up_and_later_ones_are_averaged() -> None:
    clock = Clock()
    budget = Budget(0.1, grace=0.0, clock=clock)
    looked(budget, clock, 100.0)
    looked(budget, clock, 1.0)
    looked(budget, clock, 2.0)
    clock.now += 1043.2  # allows 104.32 seconds: 103 are spent, and the next one is expected to take 1.3
    assert budget.allows("full look")
    looked(budget, clock, 0.5)
    assert not budget.allows("full look")


def test_no_share_allows_everything_and_grace_the_first_seconds() -> None:
    clock = Clock()
    for share, grace, allowed in ((None, 0.0, True), (0.01, 5.0, True), (0.01, 0.0, False)):
        budget = Budget(share, grace, clock)
        looked(budget, clock, 2.0)
        assert budget.allows("full look") is allowed


def test_the_sentinel_thins_out_step_by_step_and_never_stops_looking() -> None:
    clock = Clock()
    budget = Budget(1e-9, grace=0.0, clock=clock)
    for kind in ("full look", "thin look"):
        looked(budget, clock, 1.0, kind)
    sentinel = Sentinel(budget, Reader())
    grads = [("weight", torch.ones(3, 3)), ("bias", torch.ones(3))]
    chosen = []
    for step in range(2 * FULL_EVERY):
        how = sentinel.choose()
        chosen.append(how)
        (reading,) = sentinel.look(step, torch.tensor(1.0), grads, how=how)
        assert reading.healthy
        assert math.isnan(reading.total) is (how is not Look.FULL)
    assert chosen[:FIRST_FULL] == [Look.FULL] * FIRST_FULL
    assert chosen[FIRST_FULL:FIRST_THIN] == [Look.THIN] * (FIRST_THIN - FIRST_FULL)
    assert chosen[FIRST_THIN : FIRST_THIN + THIN_EVERY] == [Look.LOSS] * (THIN_EVERY - 1) + [Look.THIN]
    assert chosen[FIRST_FULL - 1 + FULL_EVERY] is Look.FULL
    assert chosen.count(Look.FULL) == FIRST_FULL + 1


def test_a_thin_look_that_sees_a_nan_reads_everything() -> None:
    sentinel = Sentinel(Budget(None), Reader())
    bad = torch.tensor([math.nan])
    grads = [("first", torch.ones(2, 2)), ("hidden", bad.view(1, 1)), ("bias", bad)]
    (reading,) = sentinel.look(3, torch.tensor(1.0), grads, how=Look.THIN)
    assert reading.step == 3
    assert set(reading.bad) == {"hidden", "bias"}
    (reading,) = sentinel.look(3, torch.tensor(1.0), grads[:2], how=Look.THIN)
    assert reading.healthy  # a weight in the middle is what a thin look does not see


class Faulty(nn.Module):
    """Its eighth backward puts an infinity into one weight's gradient, which no bias and no first weight shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(6, 6), nn.Linear(6, 6, bias=False), nn.Linear(6, 3)
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        weight = Overflow.apply(self.middle.weight) if self.calls == 8 else self.middle.weight  # type: ignore[no-untyped-call]
        out: torch.Tensor = self.last(self.first(inputs) @ weight)
        return out


class Overflow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor) -> torch.Tensor:
        return weight.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * math.inf


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A budget that allows nothing but what is always done."""
    monkeypatch.setattr(Budget, "allows", lambda self, *_: self._share is None)


@pytest.mark.usefixtures("tight")
def test_what_a_thin_look_missed_is_found_by_running_again_from_the_seed() -> None:
    wanted = train_smoke(Faulty, [(X, Y)], max_overhead=None, remedies=None)
    run = train_smoke(Faulty, [(X, Y)], remedies=None)
    assert wanted.failure is not None
    assert (wanted.failure.step, wanted.failure.phase, wanted.failure.op) == (7, "backward", "OverflowBackward")
    assert run.failure == wanted.failure
    assert run.loss == wanted.loss
    assert run.steps == 20
    assert any(note.startswith("repeated from its seed") for note in run.notes)


@pytest.mark.usefixtures("tight")
def test_what_cannot_be_repeated_is_said() -> None:
    run = train_smoke(Faulty, iter([(X, Y)] * 20), remedies=None)
    assert run.failure is not None
    assert (run.failure.step, run.failure.phase, run.failure.tensor) == (7, "optimizer", "middle.weight")
    assert "every gradient of this step was finite" not in str(run)
    assert run.notes == ("the failing step could not be run again: a generator cannot be read again",)


@pytest.mark.usefixtures("tight")
def test_a_thinly_watched_run_is_the_bare_loop_too() -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))

    thin, full = (train_smoke(net, [(X, Y)], steps=60, max_overhead=share) for share in (0.02, None))
    assert thin.loss == full.loss
    assert sum(map(math.isfinite, thin.gradient_norm)) < sum(map(math.isfinite, full.gradient_norm)) == 60
    assert ", else less, which took" in str(thin)
    assert "all gradients in every step" in str(full)


@pytest.mark.parametrize("share", [0, -1, math.inf, math.nan])
def test_a_share_that_is_none_is_an_error(share: float) -> None:
    with pytest.raises(UsageProblem, match=r"max_overhead is .*, but it must be a positive share, such as 0.02"):
        train_smoke(Faulty, [(X, Y)], max_overhead=share)
