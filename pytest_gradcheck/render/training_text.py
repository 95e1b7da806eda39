"""A smoke run as terminal text: what failed and where, the last finite numbers, how to repeat it. It fits a screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gradcheck.model.training import Failure, Remedy, Site, TrainingReport

#: Losses shown at each end of a long curve, and health findings shown.
_ENDS, _FINDINGS = 4, 3


def render_training(run: TrainingReport) -> str:
    """The text that a failure prints, and `str(run)`."""
    lines = [headline(run)]
    if run.failure:
        lines += [f"likely cause: {run.failure.cause}"] if run.failure.cause else []
        lines += [f"  {said}" for said in run.failure.evidence]
    lines += ["", *_rows(run)]
    lines += _findings(run)
    if len(run.seeds) > 1 and any(each.failure and each.failure.remedies for each in run.seeds):
        lines += ["", *_remedies_by_seed([each for each in run.seeds if each.failure])]
    elif run.failure and run.failure.remedies:
        lines += ["", *_remedies(run.failure.remedies)]
    lines += [f"note: {note}" for note in run.notes]
    if run.seeds:
        lines += ["", *_band(run)]
    if not run.passed:
        lines += ["", f"rerun: {run.rerun or _call(run)}"]
    return "\n".join(lines)


def headline(run: TrainingReport) -> str:
    """One line: the model, the step, and what happened."""
    if run.interrupted:
        return f"{run.model} was interrupted after {_steps(len(run.loss))} of {run.steps}"
    if run.failure is None:
        ends = f"loss {_number(run.loss[0])} -> {_number(run.loss[-1])}"
        return f"{run.model} trained {_steps(len(run.loss))} without a failure: {ends}"
    return f"{run.model} {_what(run.failure, run)}"


def _what(failure: Failure, run: TrainingReport) -> str:
    at = f"failed at step {failure.step}"
    if failure.value == "collapse":
        return f"collapsed: after {_steps(len(run.loss))} it does no better than guessing"
    if failure.value == "underfit":
        return f"failed: it could not memorise one batch in {_steps(len(run.loss))}"
    if failure.phase == "data":
        return f"{at}: the {failure.tensor} of its batch hold {failure.value}"
    if failure.phase == "optimizer":
        return f"{at}: the optimizer's update made {failure.tensor} {failure.value}"
    if failure.quantity == "parameter":
        return f"{at}: {failure.tensor} holds {failure.value}"
    if failure.phase == "backward":
        said = f"{_site(failure)} gives" if failure.op else f"the gradient of {failure.tensor} is"
        return f"{at}: in backward, {said} {failure.value}, though the loss is {_number(run.loss[failure.step])}"
    if failure.op:
        return f"{at}: in forward, {_site(failure)} gives {failure.value}"
    return f"{at}: in forward, the loss is {failure.value}"


def _site(where: Failure | Site) -> str:
    """ "aten.log in features.3" """
    module = "the loss" if where.module is None else where.module or "the model itself"
    return f"{where.op} in {module}"


def _culprit(failure: Failure) -> list[tuple[str, str]]:
    """Where it happened, and what came before it without reaching the loss."""
    rows = [("source", failure.source)] if failure.source else []
    if failure.first:
        line = f", {failure.first.source}" if failure.first.source else ""
        rows.append(
            ("before it", f"{_site(failure.first)} gave {failure.first.value}, which the loss did not show{line}")
        )
    if failure.reproduced is False:
        rows.append(
            ("replay", "the step, run again, did not fail the same way: what is named above is the first sight")
        )
    return rows


def _remedies(tried: tuple[Remedy, ...]) -> list[str]:
    """What was tried: a cure for the nan and learning are two facts."""
    width = max(len(remedy.name) for remedy in tried)
    said = {
        (True, True): "finite, learns",
        (True, False): "finite, does not learn",
        (False, False): "not finite",
    }
    rows = [f"  {each.name:<{width}}  {said[each.finite, each.learns]:<22}  {each.detail}" for each in tried]
    return ["tried, one change each:", *rows]


def _remedies_by_seed(runs: list[TrainingReport]) -> list[str]:
    """What was tried on each failing seed: a change that cures one seed need not cure another."""
    names = dict.fromkeys(each.name for run in runs if run.failure for each in run.failure.remedies)
    width, seeds = max(map(len, names)), [f"seed {run.seed}" for run in runs]
    lines = [f"tried on every failing seed, one change each:\n  {'':<{width}}  {'  '.join(f'{s:<14}' for s in seeds)}"]
    for name in names:
        cells = [_outcome(next((each for each in _tried(run) if each.name == name), None)) for run in runs]
        lines.append(f"  {name:<{width}}  {'  '.join(f'{cell:<14}' for cell in cells)}".rstrip())
    return [line.rstrip() for line in "\n".join(lines).splitlines()]


def _tried(run: TrainingReport) -> tuple[Remedy, ...]:
    return run.failure.remedies if run.failure else ()


def _outcome(remedy: Remedy | None) -> str:
    if remedy is None:
        return "not tried"
    return "learns" if remedy.passed else "finite only" if remedy.finite else remedy.detail


def _rows(run: TrainingReport) -> list[str]:
    clip = f", clipped to {run.clip:g}" if run.clip is not None else ""
    rows = [*(_culprit(run.failure) if run.failure else ()), ("loss", _curve(run.loss))]
    if run.failure and (last := _last_finite(run)) is not None:
        norm = _number(run.gradient_norm[last])
        rows.append(("last finite", f"loss {_number(run.loss[last])} and gradient norm {norm} at step {last}"))
    if run.learning_rate:
        rows.append(("optimizer", f"{run.optimizer}, learning rate {_rates(run.learning_rate)}{clip}"))
    rows.append(("data", run.data))
    rows.append(
        ("model", f"{run.parameters:,} trainable parameters on {run.device}" + (f", {run.amp}" if run.amp else ""))
    )
    rows.append(("run", f"seed {run.seed}, {len(run.loss)} of {_steps(run.steps)} in {run.seconds:.1f} s"))
    if run.health.overhead:
        share = run.health.overhead
        spent = run.seconds * share / (1 + share)
        rows.append(("watched", f"{_watched(run)}, which took {spent:.2f} s, {share:.1%} of the rest"))
    if run.bundle:
        rows.append(("bundle", f"python {run.bundle}"))
    return [f"  {name:<11}  {value}" for name, value in rows]


def _watched(run: TrainingReport) -> str:
    """How closely: every gradient of all steps, or of some of them."""
    full, steps = sum(map(math.isfinite, run.gradient_norm)), len(run.loss)
    full += bool(run.failure and run.gradient_norm and not math.isfinite(run.gradient_norm[-1]))
    return "all gradients in every step" if full >= steps else f"all gradients in {full} of {_steps(steps)}, else less"


def _findings(run: TrainingReport) -> list[str]:
    """The health rules that were broken, where the cause has not said the same."""
    said = set() if run.failure is None else set(run.failure.evidence)
    foretold = run.health.warning is not None  # then the plain warning says nothing more
    left = [
        each
        for each in run.health.findings
        if each.message not in said
        and not (foretold and each.rule == "learning rate" and each.level == "warning")
        and not (run.failure and run.failure.cause == "unscaled input" and each.rule == "input")
    ]
    lines = [
        f"  step {each.step}: {each.rule}{f' in {each.module}' if each.module else ''}: {each.message}"
        for each in left[:_FINDINGS]
    ]
    more = [f"  and {len(left) - _FINDINGS} more (run.health.findings)"] if len(left) > _FINDINGS else []
    return ["", "health findings:", *lines, *more] if lines else []


def _last_finite(run: TrainingReport) -> int | None:
    """The last step whose loss and gradient norm are both finite."""
    pairs = list(zip(run.loss, run.gradient_norm, strict=True))
    finite = (step for step in reversed(range(len(pairs))) if all(map(math.isfinite, pairs[step])))
    return next(finite, None)


def _band(run: TrainingReport) -> list[str]:
    """One line a seed, so that a failure of one seed is not taken for one of all."""
    failed = sum(not each.passed for each in run.seeds)
    lines = [f"{failed} of {len(run.seeds)} seeds failed (shown above: seed {run.seed})"]
    return [*lines, *(f"  seed {each.seed:<4} {headline(each).partition(' ')[2]}" for each in run.seeds)]


def _curve(values: list[float]) -> str:
    if len(values) <= 2 * _ENDS:
        return ", ".join(map(_number, values)) or "none"
    return ", ".join([*map(_number, values[:_ENDS]), "...", *map(_number, values[-_ENDS:])])


def _rates(rates: list[float]) -> str:
    return (
        f"{rates[0]:g}" if len(set(rates)) == 1 else f"{rates[0]:g} at step 0 to {rates[-1]:g} at step {len(rates) - 1}"
    )


def _call(run: TrainingReport) -> str:
    enough = min(run.steps, len(run.loss) + 1)
    return f"train_smoke(..., seed={run.seed}, steps={enough})"


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"


def _number(value: float) -> str:
    return f"{value:.4g}"
