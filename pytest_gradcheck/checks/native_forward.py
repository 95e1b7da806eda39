"""A second oracle: where a Function's forward is made of torch operations, autograd can differentiate its body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pytest_gradcheck.checks.agree import pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import inner
from pytest_gradcheck.numerics.stencil import richardson, sweep
from pytest_gradcheck.subjects.application import Application, applied, flat
from pytest_gradcheck.subjects.observe import has_setup_context


class NativeForward:
    """Runs the body of forward under grad mode with a stand-in ctx, differentiates it and compares with the backward.

    Exact, and blind to step sizes and noise; but a body that detaches, uses `.data`, numpy or a kernel has another
    derivative than it seems. So finite differences along the disagreement are the referee: only a native gradient
    that they admit is believed. Cost: three forwards and one backward, and some more where the two disagree.
    """

    name = "native-forward"

    def run(self, context: Context) -> Outcome:
        """A finding where the native gradient, confirmed by finite differences, is not the backward's."""
        if not any(context.gradients.reached) or not context.finite or context.spread:
            return Outcome()
        application = applied(context.subject, context.baseline)
        positions = application.positions() if application is not None else {}
        if application is None or len(positions) != len(context.subject.leaves):
            return Outcome()
        native = _differentiated(context, application)
        if native is None:
            return Outcome()
        by_leaf = dict(zip(positions.values(), native, strict=True))
        return Outcome(findings=_judged(context, [by_leaf[leaf] for leaf in context.subject.leaves]))


def _differentiated(context: Context, application: Application) -> list[torch.Tensor] | None:
    """The gradients of the body, in the order of the positions; None where it cannot be differentiated."""
    fresh, leaves = application.requiring()
    inputs = [value.clone() if isinstance(value, torch.Tensor) else value for value in fresh]
    ctx = StandIn(isinstance(value, torch.Tensor) and value.requires_grad for value in inputs)
    forward: Callable[..., Any] = application.function.forward
    arguments = inputs if has_setup_context(application.function) else [ctx, *inputs]
    application.restart()
    try:
        with torch.enable_grad():
            outputs = flat(forward(*arguments))
            same = [output.shape for output in outputs] == [output.shape for output in context.baseline]
            if not same or not all(output.requires_grad for output in outputs):
                return None
            found = pull(leaves, outputs, context.cotangents)
    except Exception:  # noqa: BLE001  numpy, in-place writes, kernels: the body is not made of torch operations
        return None
    return found if all(bool(value.isfinite().all()) for value in found) else None


def _judged(context: Context, native: list[torch.Tensor]) -> list[Finding]:
    leaves, found = context.subject.leaves, context.gradients.values
    gaps = [right - wrong for right, wrong in zip(native, found, strict=True)]
    if not all(bool(gap.isfinite().all()) for gap in gaps):
        return []  # nan from the backward alone is the number of record's to tell
    gap = float(sum(float(value.norm()) ** 2 for value in gaps) ** 0.5)
    scale = sum(float(right.norm() + wrong.norm()) for right, wrong in zip(native, found, strict=True))
    relative = gap / scale if scale else 0.0
    # Two right formulas of one gradient differ by their rounding; a float32 one is the number of record's to report.
    if relative <= context.settings.bands[0]:
        return []
    # Along their difference the two gradients predict slopes that lie `gap` apart: where the eye is sharpest.
    tangents = {leaf: value / gap for leaf, value in zip(leaves, gaps, strict=True)}
    claimed = sum(inner(value, tangents[leaf]) for leaf, value in zip(leaves, native, strict=True))
    with context.subject.along(tangents, context.objective) as line:
        numeric = richardson(line, context.step, context.noise)
        if not PROOF * numeric.bar < gap / 2:
            numeric = min(numeric, sweep(line, context.noise), key=lambda found: found.bar)
    # The slope of a right native gradient lies nearer to the numeric one than to the backward's.
    if not abs(numeric.value - claimed) <= PROOF * numeric.bar + gap / 100:
        return []
    worst = max(leaves, key=lambda leaf: float(tangents[leaf].norm()))
    k = leaves.index(worst)
    index = worst.index(int((worst.real(gaps[k])).abs().argmax()))
    place = f"{worst.name}{list(index) if index else ''}"
    values = f"{float(worst.real(found[k])[index]):.9g} instead of {float(worst.real(native[k])[index]):.9g}"
    start = (
        f"the backward is not the derivative of the forward's own operations: {place} gets {values}, a relative "
        f"difference of {relative:.1e}"
    )
    if gap > PROOF * numeric.bar:
        said = f"{start}; finite differences agree with the forward's operations"
        severity = "error" if relative > context.settings.bands[1] else "warning"
        return [Finding("native-forward", severity, said)]
    return [Finding("native-forward", "warning", f"{start}; finite differences are too noisy to decide")]


class StandIn:
    """What a forward may do with its ctx, to no effect."""

    def __init__(self, needs_input_grad: Any) -> None:
        self.needs_input_grad = tuple(needs_input_grad)
        self.saved_tensors: Sequence[Any] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps the tensors, as forward may read them again."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Nothing."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Nothing."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Nothing."""

    def set_materialize_grads(self, value: bool) -> None:
        """Nothing."""
