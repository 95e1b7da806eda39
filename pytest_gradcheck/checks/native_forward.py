"""A second oracle: where a Function's forward is made of torch operations, autograd can differentiate its body."""

from __future__ import annotations

import math

import torch

from pytest_gradcheck.checks.agree import pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import inner
from pytest_gradcheck.numerics.stencil import richardson, sweep
from pytest_gradcheck.subjects.application import Application, applied
from pytest_gradcheck.subjects.standin import body
from pytest_gradcheck.subjects.subject import Leaf

#: Two right formulas of one gradient may differ by this much of its largest element, after some cancellation.
ROUNDING = 1e-10


class NativeForward:
    """Runs the body of forward under grad mode with a stand-in ctx, differentiates it and compares with the backward.

    Exact, element by element however large the tensor, and blind to step sizes and noise; but a body that detaches,
    uses `.data`, numpy or a kernel has another derivative than it seems. So finite differences along the disagreement
    are the referee: only a native gradient that they admit is believed. Cost: three forwards and one backward, and
    some more where the two disagree.
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
    outputs = body(application, fresh)
    if outputs is None or [output.shape for output in outputs] != [output.shape for output in context.baseline]:
        return None
    try:
        found = pull(leaves, outputs, context.cotangents)
    except Exception:  # noqa: BLE001  a body may write into what its own operations need again
        return None
    return found if all(bool(value.isfinite().all()) for value in found) else None


def _judged(context: Context, native: list[torch.Tensor]) -> list[Finding]:
    found = context.gradients.values
    if not all(bool(value.isfinite().all()) for value in found):
        return []  # nan from the backward is the number of record's to tell
    leaves = context.subject.leaves
    floor = _floor(context)
    gaps = [_beyond(context, floor, leaf, *pair) for leaf, *pair in zip(leaves, native, found, strict=True)]
    norms = [float(gap.norm()) for gap in gaps]
    whole = math.hypot(*norms)
    if not whole:
        return []
    # Along their difference the two gradients predict slopes that lie `whole` apart: where the eye is sharpest.
    tangents = {leaf: gap / whole for leaf, gap in zip(leaves, gaps, strict=True)}
    claimed = sum(inner(value, tangents[leaf]) for leaf, value in zip(leaves, native, strict=True))
    with context.subject.along(tangents, context.objective) as line:
        numeric = richardson(line, context.step, context.noise)
        if not PROOF * numeric.bar < whole / 2:
            numeric = min(numeric, sweep(line, context.noise), key=lambda found: found.bar)
    if not abs(numeric.value - claimed) <= PROOF * numeric.bar + whole / 100:
        return []  # the body is not what it seems to be: finite differences contradict it
    k = norms.index(max(norms))
    leaf, right, wrong = leaves[k], leaves[k].real(native[k]), leaves[k].real(found[k])
    index = leaf.index(int(leaf.real(gaps[k]).abs().argmax()))
    ratio = abs(float(right[index] - wrong[index])) / (abs(float(right[index])) + abs(float(wrong[index])))
    place = f"{leaf.name}{list(index) if index else ''}"
    numbers = f"gets {float(wrong[index]):.9g} instead of {float(right[index]):.9g} (relative error {ratio:.1e})"
    said = "the backward is not the derivative of the forward's own operations"
    # An element that finite differences found to be off has its numbers in the report already.
    told = any(check.name == leaf.name and check.worst is not None for check in context.off)
    said += f" in {leaf.name}" if told else f": {place} {numbers}"
    if not whole > PROOF * numeric.bar:
        return [Finding("native-forward", "warning", f"{said}; finite differences are too noisy to decide")]
    # Where finite differences found something, this confirms it, and the verdict stays theirs.
    severity = "error" if ratio > context.settings.bands[1] and not context.off else "warning"
    return [Finding("native-forward", severity, f"{said}; finite differences agree with the forward's operations")]


def _floor(context: Context) -> float:
    """The relative size below which rounding and the forward's noise explain an element of a right gradient."""
    values = zip(context.cotangents, context.baseline, strict=True)
    size = math.hypot(*(float((v * output).norm()) for v, output in values))
    return max(ROUNDING, 100 * context.noise / size) if size else ROUNDING


def _beyond(context: Context, floor: float, leaf: Leaf, right: torch.Tensor, wrong: torch.Tensor) -> torch.Tensor:
    """The difference of two gradients of a leaf, zero in every element where rounding may explain it."""
    if not leaf.numel:
        return torch.zeros_like(right)
    gap, size = (right - wrong).abs(), right.abs() + wrong.abs()
    kept = (gap > context.settings.bands[0] * size) & (gap > floor * size.max())
    return torch.where(kept, right - wrong, 0)
