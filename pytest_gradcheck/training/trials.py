"""Trying the remedies on a failing run, within a budget of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.training import Failure, Remedy, TrainingReport
from pytest_gradcheck.training.plan import Plan, unrepeatable
from pytest_gradcheck.training.remedies import REMEDIES, Change, with_fresh_optimizer

#: Seconds that "auto" spends on all trials of one failing run, and the share of them that one trial may take.
BUDGET, SHARE = 20.0, 1 / 3
#: A trial learns when its last losses lie this far below its first one.
LEARNS = 0.9
# What no change of rate, scale or layers repairs: the data, the weights or a formula are wrong.
_BEYOND = {"the batch", "the given weights", "domain error"}
_ANOTHER = "another seed"

#: Runs a plan with a seed until a moment of `time.perf_counter`.
Run = Callable[[Plan, int, float], TrainingReport]


def with_remedies(
    report: TrainingReport, plan: Plan, mode: str | None, run: Run, largest_input: float, failing: int = 1
) -> TrainingReport:
    """The report with the remedies that were tried on it.

    Args:
        report: A run that failed; any other is returned as it is.
        plan: What it ran.
        mode: "auto" (within `BUDGET` seconds, and only where a remedy can help), "all", or None.
        run: How to run a changed plan.
        largest_input: Largest magnitude in the failing batch.
        failing: Number of failing seeds, which share the budget.
    """
    failure = report.failure
    if mode is None or failure is None or failure.value == "underfit":
        return report
    cannot = unrepeatable(plan)
    if cannot:
        return replace(report, notes=(*report.notes, f"no remedies were tried: {cannot}"))
    if mode == "auto" and (failure.cause in _BEYOND or failure.reproduced is False):
        return report
    budget = BUDGET / failing if mode == "auto" else math.inf
    end = time.perf_counter() + budget
    fresh = with_fresh_optimizer(plan)
    tried, left, unsuited = [], [], []
    for name, change in _changes(fresh):
        try:
            changed = change(fresh, largest_input)
            if changed is None:
                continue
            if time.perf_counter() >= end:
                left.append(name)
                continue
            seed = report.seed + (name == _ANOTHER)
            trial = run(replace(changed, keep=False, bundle=None), seed, min(end, time.perf_counter() + budget * SHARE))
        except UsageProblem as error:  # as BatchNorm does not suit batches of one
            unsuited.append(f"{name} does not suit this run: {str(error).partition(chr(10))[0]}")
            continue
        except Exception as error:  # noqa: BLE001 - the report of the run that failed is worth more than a remedy
            said = str(error).partition("\n")[0]
            unsuited.append(f"{name} could not be tried, because the run raised {type(error).__name__}: {said}")
            continue
        if trial.interrupted:
            raise KeyboardInterrupt(str(report))
        if trial.failure or len(trial.loss) > failure.step or len(trial.loss) == plan.steps:
            tried.append(_judged(name, trial))
        else:
            left.append(name)
    more = f'{len(left)} more were not tried for lack of time (remedies="all" tries them)'
    notes = (*unsuited, *([more] if left else []))
    return replace(report, failure=replace(failure, remedies=tuple(tried)), notes=(*report.notes, *notes))


def _changes(plan: Plan) -> list[tuple[str, Change]]:
    """What is tried, by name; the last is the plan as it is, for the next seed."""
    another = [] if isinstance(plan.model, nn.Module) else [(_ANOTHER, lambda same, _: same)]
    return [*REMEDIES, *another]


def _judged(name: str, trial: TrainingReport) -> Remedy:
    failure: Failure | None = trial.failure
    finite = failure is None or failure.value in {"collapse", "underfit"}
    last = fmean(trial.loss[-min(3, len(trial.loss)) :])
    learns = failure is None and last <= LEARNS * trial.loss[0]
    curve = f"loss {trial.loss[0]:.4g} -> {trial.loss[-1]:.4g} in {len(trial.loss)} steps"
    if failure is not None:
        curve = f"{failure.value} at step {failure.step}" if not finite else f"{failure.value}, {curve}"
    return Remedy(name, finite and learns, finite, learns, len(trial.loss), curve)
