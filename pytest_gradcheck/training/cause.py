"""Why a step failed, by measured evidence: each rule is one function, and the first that holds names the cause."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gradcheck.model.health import Symptom
    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Update
    from pytest_gradcheck.model.training import Failure
    from pytest_gradcheck.training.replay import Replay

#: Above this magnitude a broken log or division is the victim, not the culprit.
_SANE = 1e15
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
    """

    failure: Failure
    seen: Replay | None
    largest_input: float
    span: str
    updates: list[Update]
    in_float32: float | None
    limits: Limits
    warning: Symptom | None = None


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
    if event and event.op.rpartition(".")[2].rstrip("_") in _EDGES and event.largest < _SANE:
        yield f"{event.op} left its domain at inputs no larger than {event.largest:.3g}"
    elif event is None and backward:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", re.sub(r"Backward\d*$", "", backward.op)).lower()
        if name in _EDGES or name.lstrip("_") in _EDGES:
            yield f"the derivative of {name} is not finite where its forward was evaluated"


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
        yield f"activations grow by {slope:.2f} decades a layer before any update"


#: In the order in which they are believed.
RULES: tuple[tuple[str, Callable[[Scene], Iterator[str]]], ...] = (
    ("the batch", _data),
    ("the given weights", _given_state),
    ("reduced precision", _precision),
    ("domain error", _domain),
    ("unscaled input", _unscaled),
    ("initialisation", _initialisation),
    ("learning rate", _learning_rate),
)
