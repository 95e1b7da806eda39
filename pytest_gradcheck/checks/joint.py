"""Large subjects: directions over all leaves at once certify most of them for the price of one."""

from __future__ import annotations

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.model import TensorCheck, Verdict
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import inner
from pytest_gradcheck.numerics.stencil import richardson

#: Subjects that read at least this many numbers: there a forward takes long, and four a leaf are too many.
LARGE = 1_000_000
#: Joint directions. Errors of two leaves that cancel along one do not along the other.
DIRECTIONS = 2


def certified(context: Context) -> dict[str, TensorCheck]:
    """The leaves of a large subject that joint directions show to be right, by name; empty for smaller ones.

    Along a direction that moves every leaf, the two derivatives differ by the sum of all leaves' errors, each projected
    at random. Where the difference is inside its bar, and the bar is small beside a leaf's own gradient, that leaf's
    error is below the band. A leaf with a gradient too small for that, and every leaf after a disagreement, is measured
    by itself.
    """
    if context.settings.mode != "auto" or context.subject.size < LARGE or context.rough:
        return {}
    bound = 0.0
    for k in range(DIRECTIONS):
        if context.deadline.passed:
            return {}
        tangents = context.directions("joint", k)
        gradients = zip(context.subject.leaves, context.gradients.values, strict=True)
        claimed = sum(inner(gradient, tangents[leaf]) for leaf, gradient in gradients)
        with context.subject.along(tangents, context.objective) as line:
            found = richardson(line, context.step, context.noise)
        difference = abs(found.value - claimed)
        if not difference <= PROOF * found.bar:
            return {}
        bound = max(bound, difference, found.bar)
    checks = {}
    for leaf, gradient in zip(context.subject.leaves, context.gradients.values, strict=True):
        norm = float(gradient.norm())
        if norm > 0 and bound / (2 * norm) <= context.settings.bands[0]:
            ratio = bound / (2 * norm)
            checks[leaf.name] = TensorCheck(
                leaf.name, tuple(leaf.tensor.shape), ratio, ratio, Verdict.GOOD, coverage=0.0
            )
    return checks
