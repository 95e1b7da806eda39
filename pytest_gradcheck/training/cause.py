"""Why a step failed, by measured evidence: each rule is one function, and the first that holds names the cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.training.backtrace import named
from pytest_gradcheck.training.numbers import SANE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_gradcheck.model.health import Symptom
    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Update
    from pytest_gradcheck.model.training import Failure
    from pytest_gradcheck.training.replay import Replay

_EDGES = {
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "rsqrt",
    "div",
    "reciprocal",
    "pow",
    "acos",
    "asin",
    "acosh",
    "atanh",
    "tan",
    "lgamma",
    "digamma",
    "logit",
    "_softmax",
    "_log_softmax",
    "linalg_vector_norm",
    "norm",
    "std",
    "var",
    "xlogy",
    "atan2",
    "remainder",
    "fmod",
}  # fmt: skip

#: Losses of which there may be none: every label ignored, no alignment.
_COUNTING = {"nll_loss", "nll_loss2_d", "ctc_loss"}
_STEEP = {"exp", "exp2", "expm1", "cosh", "sinh"}


@dataclass(frozen=True)
class Scene:
    """What is known about a failing step.

    Attributes:
        failure: What failed.
        seen: The replay, where there was one.
        largest_input: Largest magnitude in the batch's inputs; 0 where they are no floating numbers.
        span: The inputs' range in words.
        updates: The largest update of each step before, relative to the weights it moved.
        in_float32: Loss of the same step without autocast; None where it ran in float32 anyway.
        limits: Where the rules draw the line.
        warning: The finding that foretold a nan, or None.
        loss_of: The operations by which a loop computed its loss from finite outputs, where these are to blame.
    """

    failure: Failure
    seen: Replay | None
    largest_input: float
    span: str
    updates: list[Update]
    in_float32: float | None
    limits: Limits
    warning: Symptom | None = None
    loss_of: Sequence[str] = ()


def explain(scene: Scene) -> Failure:
    """The failure with its cause, and the evidence of every rule that holds."""
    found = [(name, said) for name, rule in RULES for said in rule(scene)]
    evidence = (*scene.failure.evidence, *(said for _, said in found))
    return replace(scene.failure, cause=found[0][0] if found else None, evidence=evidence)


def _data(scene: Scene) -> Iterator[str]:
    if scene.failure.phase == "data":
        yield f"{scene.failure.tensor} held {scene.failure.value} before the model saw them"


def _given_state(scene: Scene) -> Iterator[str]:
    if scene.failure.phase == "forward" and scene.failure.quantity == "parameter":
        yield f"{scene.failure.tensor} was not finite when the run began"


def _precision(scene: Scene) -> Iterator[str]:
    event = scene.seen.forward if scene.seen else None
    if event and event.dtype is torch.float16 and event.value != "nan":
        yield f"{event.op} gave float16, whose largest number is 65504"
    if scene.in_float32 is not None and math.isfinite(scene.in_float32):
        yield f"the same step in float32 has loss {scene.in_float32:.4g}"


def _domain(scene: Scene) -> Iterator[str]:
    event = scene.seen.forward if scene.seen else None
    backward = scene.seen.backward if scene.seen else None
    if event and event.op.rpartition(".")[2].rstrip("_") in _EDGES and event.largest < SANE:
        yield f"{event.op} left its domain at inputs no larger than {event.largest:.3g}"
    elif event is None and backward:
        name = named(backward.op)
        if name in _EDGES or name.lstrip("_") in _EDGES:
            yield f"the derivative of {name} is not finite where its forward was evaluated"


def _empty(scene: Scene) -> Iterator[str]:
    """A mean over nothing: no number was out of its domain, there was none."""
    event = scene.seen.forward if scene.seen else None
    name = event.op.rpartition(".")[2] if event else ""
    if event and event.value == "nan" and event.largest < SANE:
        if name.startswith("nll_loss"):
            why = "the weights of this step's labels sum to zero: class weights of zero, or there is no label"
            why = "every label of this step has the ignored index" if event.ignored else why
            yield f"{event.op} averages over no label at all: {why}"
        elif name in {"mean", "nanmean"} and not event.numbers:
            yield f"{event.op} averages over an empty tensor"


def _masked(scene: Scene) -> Iterator[str]:
    event = scene.seen.forward if scene.seen else None
    if event and event.op.rpartition(".")[2] in {"_softmax", "_log_softmax"} and event.masked:
        yield f"a row that {event.op} was given is -inf throughout: its mask leaves nothing to attend to"


def _alignment(scene: Scene) -> Iterator[str]:
    event = scene.seen.forward if scene.seen else None
    if event and "ctc_loss" in event.op and event.value == "inf" and event.largest < SANE:
        yield (
            f"{event.op} found no alignment: a target (with blanks between equal neighbours) is too long; "
            "zero_infinity=True leaves such samples out"
        )


def _overflow(scene: Scene) -> Iterator[str]:
    event = scene.seen.forward if scene.seen else None
    if event and event.value == "inf" and event.op.rpartition(".")[2].rstrip("_") in _STEEP and event.largest < SANE:
        biggest = math.log(torch.finfo(event.dtype).max)
        yield f"{event.op} overflowed: its inputs reach {event.largest:.4g}, and exp of more than {biggest:.3g} is inf"


def _by_exclusion(scene: Scene) -> Iterator[str]:
    """What a loop computes by itself was not seen: believed only where nothing was measured."""
    risky = [name for name in scene.loss_of if name in _EDGES | _STEEP | _COUNTING and "softmax" not in name]
    if risky:
        yield f"of what it computes, {' and '.join(risky)} can give nan or inf for finite numbers"


def _unscaled(scene: Scene) -> Iterator[str]:
    if scene.largest_input > scene.limits.input:
        yield f"the inputs {scene.span}: nets expect a scale near 1"


def _learning_rate(scene: Scene) -> Iterator[str]:
    large = [update for update in scene.updates if update.ratio > scene.limits.update]
    if large:
        first = large[0]
        yield (
            f"at step {first.step} the update of {first.tensor} was {first.ratio:.3g} times its initial norm "
            f"(learning rate {first.rate:g})"
        )
    if scene.warning and scene.failure.step > scene.warning.step:
        steps = scene.failure.step - scene.warning.step
        yield f"early warning: such updates in two steps running, seen {steps} step{'s' if steps > 1 else ''} before"


def _initialisation(scene: Scene) -> Iterator[str]:
    slope = scene.seen.growth if scene.seen else None
    if scene.failure.step == 0 and slope is not None and slope > scene.limits.slope:
        yield f"activations grow by {slope:.2f} decades a layer or a call before any update"


#: In the order in which they are believed.
RULES: tuple[tuple[str, Callable[[Scene], Iterator[str]]], ...] = (
    ("the batch", _data),
    ("the given weights", _given_state),
    ("reduced precision", _precision),
    ("domain error", _masked),
    ("domain error", _empty),
    ("domain error", _alignment),
    ("domain error", _domain),
    ("unscaled input", _unscaled),
    ("initialisation", _initialisation),
    ("learning rate", _learning_rate),
    ("domain error", _overflow),
    ("domain error", _by_exclusion),
)
