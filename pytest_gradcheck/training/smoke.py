"""`train_smoke`: a few real training steps under a sentinel, and everything left as it was found."""

from __future__ import annotations

import contextlib
import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training.bundle import bundled
from pytest_gradcheck.training.distributed import shared
from pytest_gradcheck.training.feed import Feed
from pytest_gradcheck.training.lazy import materialise
from pytest_gradcheck.training.loop import Loop
from pytest_gradcheck.training.objective import Loss
from pytest_gradcheck.training.optimizers import Rate, make_optimizer
from pytest_gradcheck.training.plan import Plan, amp_dtype, device_of, unrepeatable
from pytest_gradcheck.training.reader import Reader
from pytest_gradcheck.training.state import ModelState, seeded
from pytest_gradcheck.training.trials import with_remedies

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_gradcheck.model.training import TrainingReport


def train_smoke(
    model: nn.Module | Any,
    batches: Iterable[Any],
    *,
    loss: Loss | None = None,
    optimizer: Any = "sgd",
    lr: Rate | None = None,
    steps: int = 20,
    device: str | torch.device | None = None,
    clip: float | None = None,
    amp: str | torch.dtype | None = None,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    remedies: str | None = "auto",
    overfit: bool = False,
    keep: bool = False,
    max_overhead: float | None = 0.02,
    bundle: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> TrainingReport:
    """Train for a few steps and report the first thing that goes wrong.

    Before each optimizer step the loss and all gradients are read at once. The run ends at the first nan or infinity.
    It also fails when it collapses: no better than guessing, and more than 70 % of gradients exactly zero.
    A healthy run computes bit for bit what a bare loop computes after `torch.manual_seed(seed)`.

    Args:
        model: A module, or a factory of one, which several seeds need.
        batches: Iterable of `(inputs, targets)`. Inputs are a tensor, a tuple or list of arguments, or a dict of
            keyword arguments. A batch that is one dict holds all arguments of a model that returns its `loss`, as
            Hugging Face's do. An iterable that is exhausted starts again.
        loss: Callable of outputs and targets that returns one floating number; None is cross entropy, or the model's
            own `loss` where batches are dicts.
        optimizer: A name ("sgd" has momentum 0), a class, a callable of the parameters, or an optimizer.
        lr: Learning rate or a function of the step. None is 0.01 for names and classes, else the optimizer's own.
        steps: Number of steps; they count from 0.
        device: Where to train. None leaves model and batches where they are, which must be one device.
        clip: Gradient norm to clip to, or None.
        amp: "float16" (with loss scaling) or "bfloat16" to run the forward under autocast, or None.
        seed: Of torch's, numpy's and Python's generators; set before a factory builds the model.
        seeds: Several seeds instead of one: the factory is called and the run repeated for each.
        remedies: What to try on every failing seed, one change at a time: "auto" spends up to 20 seconds in all, where
            a change can help, "all" tries everything, None nothing.
        overfit: Train on the first batch only, which must come down to 5 % of its initial loss.
        keep: Leave the model trained, instead of as it was.
        max_overhead: Share of the run's time that watching may take (close looks at layers may take half of it
            besides). Where reading every gradient costs more, some steps are watched by their loss, biases and first
            weight. None reads everything. The first 0.05 seconds are always allowed.
        bundle: Folder for a failing step: its state in one file, and a script that repeats it; with several seeds one
            folder each in it.
        limits: Where the health rules draw the line; None is `Limits()`.

    Returns:
        The report. With `seeds` it is the report of the first failing seed, else of the first, and its `seeds` lists
        all of them. Unless `keep`, the model (parameters, buffers, attributes, mode, gradients) and an optimizer that
        was passed are bit for bit as before; the random generators and the grad mode always are, also after a failure.

    Raises:
        UsageProblem: The question was wrong: an empty loader, labels out of range, a loss without gradient, a model
            without parameters, devices that differ, an unknown optimizer, a forward that raises.
        KeyboardInterrupt: Ctrl-C, after everything is restored; its message is the report of what was seen.
    """
    plan = Plan(
        model, batches, loss, optimizer, lr, steps, device_of(device), clip, amp_dtype(amp), overfit=overfit, keep=keep,
        max_overhead=max_overhead, limits=Limits() if limits is None else limits,
        bundle=None if bundle is None else Path(bundle),
    )  # fmt: skip
    if remedies not in (None, "auto", "all"):
        raise UsageProblem(f'remedies is {remedies!r}, but it must be "auto", "all" or None')
    plan = shared(plan)
    remedies = None if plan.team.notes else remedies
    if seeds is None:
        return _remedied(*_run(plan, seed), plan, remedies)
    if not seeds:
        raise UsageProblem("seeds is empty: name at least one, as in seeds=(0, 1, 2)")
    if len(seeds) > 1 and isinstance(model, nn.Module):
        raise UsageProblem(
            "several seeds need a model factory, so that each seed draws its own weights: "
            f"pass a function that returns the {type(model).__name__}"
        )
    tried = [_run(replace(plan, bundle=plan.bundle and plan.bundle / f"seed-{each}"), each) for each in seeds]
    failing = sum(not run.passed for run, _ in tried)
    runs = tuple(_remedied(*each, plan, remedies, failing) for each in tried)
    return replace(next((run for run in runs if not run.passed), runs[0]), seeds=runs)


def _remedied(
    report: TrainingReport, largest_input: float, plan: Plan, remedies: str | None, failing: int = 1
) -> TrainingReport:
    def run(changed: Plan, seed: int, until: float) -> TrainingReport:
        return _once(changed, seed, until)[0]

    return with_remedies(report, plan, remedies, run, largest_input, failing)


def _run(plan: Plan, seed: int) -> tuple[TrainingReport, float]:
    """One seed's report, and the largest magnitude in its last batch.

    A failure that was seen late or by a thin look may have begun earlier. Then the run is repeated from its seed up to
    there, with every gradient read in its own step.
    """
    report, largest, inexact = _once(plan, seed)
    if not inexact or report.failure is None:
        return report, largest
    cannot = unrepeatable(plan)
    if cannot:
        return replace(report, notes=(*report.notes, f"the failing step could not be run again: {cannot}")), largest
    steps = min(plan.steps, report.failure.step + 2)
    again, largest, _ = _once(replace(plan, steps=steps, max_overhead=None, reader=Reader), seed)
    again = replace(again, steps=plan.steps, seconds=report.seconds + again.seconds)
    if again.failure is None or again.failure.value in {"collapse", "underfit"}:
        said = "repeated from its seed with every gradient read, the run did not fail"
        failure = replace(report.failure, reproduced=False, evidence=(*report.failure.evidence, said))
        return replace(report, failure=failure), largest
    said = "repeated from its seed up to the failing step, which had not been watched closely enough to explain it"
    return replace(again, notes=(*again.notes, said)), largest


def _once(plan: Plan, seed: int, until: float | None = None) -> tuple[TrainingReport, float, bool]:
    """One run's report, the largest magnitude in its last batch, and whether its failure may have begun earlier.

    It is a trial where `until` is given.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageProblem(f"seed is {seed!r}, but it must be a whole number of at least 0")
    start = time.perf_counter()
    with torch.inference_mode(False), torch.enable_grad(), seeded(seed):
        plan.team.meet(f"a smoke run of {plan.steps} steps with seed {seed}")
        with plan.team.alike():
            model = plan.build()
            home = plan.device or next(model.parameters()).device
            feed = Feed(plan.batches, plan.device, home, plan.overfit, plan.team.share(plan.batches))
            materialise(model, feed)
        with _as_found(model, plan):
            if plan.device is not None:
                model.to(plan.device)
            loop = Loop(plan, model, make_optimizer(plan.optimizer, model, plan.lr), feed, until)
            loop.run()
            report = loop.report(seed, time.perf_counter() - start)
            largest = loop.input_facts()[0] if report.failure else 0.0
            if plan.bundle and until is None and not loop.inexact:
                report = bundled(report, plan, loop)
    if report.interrupted and until is None:
        raise KeyboardInterrupt(str(report))
    return report, largest, loop.inexact


@contextlib.contextmanager
def _as_found(model: nn.Module, plan: Plan) -> Iterator[None]:
    """Put the model and an optimizer of the user's back afterwards, unless the plan keeps them."""
    passed = plan.optimizer if isinstance(plan.optimizer, torch.optim.Optimizer) else None
    if plan.keep:
        yield
        return
    state = ModelState(model)
    kept = copy.deepcopy(passed.state_dict()) if passed else None
    try:
        yield
    finally:
        state.restore()
        if passed and kept:
            passed.load_state_dict(kept)
