"""Directions over all leaves at once certify most of those that are projected, for the price of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.scale import NEARER
from pytest_gradcheck.model import TensorCheck, Verdict
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.stencil import Derivative, richardson
from pytest_gradcheck.subjects.subject import Leaf

#: Joint directions. Errors of two leaves that cancel along one do not along the other.
DIRECTIONS = 2
#: Leaves with small gradients are hidden behind those with large ones: they are moved once more without them.
STAGES = 2


def certified(context: Context, leaves: Sequence[Leaf]) -> dict[str, TensorCheck]:
    """Those of the leaves that joint directions show to be right, by name.

    Along a direction that moves every leaf, the two derivatives differ by the sum of all leaves' errors, each projected
    at random. Where the difference is inside its bar, and the bar is small beside a leaf's own gradient, that leaf's
    error is below the band: the noise that limits a direction of its own is the same. Leaves with gradients too small
    for that are tried once more among themselves. What is left, and every leaf after a disagreement, is measured alone.
    """
    if context.settings.mode == "central" or context.rough or len(leaves) < 2:
        return {}
    checks: dict[str, TensorCheck] = {}
    moved = context.subject.leaves
    for _ in range(STAGES):
        bound = _bound(context, moved)
        if bound is None:
            break
        for leaf in leaves:
            norm = float(context.gradients.values[context.subject.leaves.index(leaf)].norm())
            ratio = bound / (2 * norm) if norm else math.inf
            if leaf in moved and ratio <= context.settings.bands[0]:
                checks[leaf.name] = TensorCheck(
                    leaf.name, tuple(leaf.tensor.shape), ratio, ratio, Verdict.GOOD, coverage=0.0
                )
        moved = tuple(leaf for leaf in leaves if leaf.name not in checks)
        if len(moved) < 2 or len(moved) == len(leaves):
            break
    return checks


def _bound(context: Context, leaves: Sequence[Leaf]) -> float | None:
    """What the two derivatives may differ by along directions of these leaves; None where they do differ."""
    scale, every = context.scale, len(leaves) == len(context.subject.leaves)
    gradients = dict(zip(context.subject.leaves, context.gradients.values, strict=True))
    bound = 0.0
    for k in range(DIRECTIONS):
        if context.deadline.passed:
            return None
        drawn = context.directions("joint", k) if k else context.directions("joint")
        tangents = {leaf: drawn[leaf] for leaf in leaves}
        claimed = sum(tangent.along(gradients[leaf]) for leaf, tangent in tangents.items())
        with context.subject.along(tangents, context.objective) as line:
            # The first direction of all leaves has been measured already, when the step was chosen.
            known = every and k == 0 and math.isfinite(scale.joint.value)
            found = scale.joint if known else richardson(line, scale.step, scale.noise)
            if not _agree(found, claimed):
                found = richardson(line, scale.step / NEARER, scale.noise)
        if not _agree(found, claimed):
            return None
        bound = max(bound, abs(found.value - claimed), found.bar)
    return bound


def _agree(found: Derivative, claimed: float) -> bool:
    return abs(found.value - claimed) <= PROOF * found.bar
