"""A closer look at one suspicious probe: a kink, the edge of the domain, an unlucky step, or a wrong gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.nearby import nearby
from pytest_gradcheck.checks.probes import Probe
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.kink import Corner, Shape, look_closer
from pytest_gradcheck.numerics.stencil import UNKNOWN, Derivative, Line, one_sided, sweep


@dataclass(frozen=True)
class Look:
    """What the closer look gave: a better derivative, or the reason why there is none to compare with.

    Attributes:
        derivative: The better estimate; `UNKNOWN` where there is none.
        excuse: "kink", "kinks", "jump" or "domain edge" where the two gradients need not agree here, else None.
        corner: The slopes on both sides, where the point is a kink and autograd's value lies outside of them.
    """

    derivative: Derivative
    excuse: str | None = None
    corner: Corner | None = None


def examine(context: Context, probe: Probe) -> Look:
    """Looks at a probe from both sides and at many steps."""
    with probe.line(context) as line:
        corner = look_closer(line, context.step, context.noise)
        if corner.shape is Shape.JUMP:
            return Look(UNKNOWN, "jump")
        if corner.shape is not Shape.KINK:
            return _smooth(line, context.noise)
    middle = Derivative((corner.low + corner.high) / 2, corner.bar)
    if not math.isfinite(probe.autograd):
        return Look(middle)
    if corner.admits(probe.autograd):
        return Look(middle, "kink")
    # Where several kinks meet, a sum of subgradients need not lie between the one-sided slopes of the sum. One element
    # of a custom Function has one kink: there the interval decides.
    alone = context.subject.function is not None and probe.position is not None
    if not alone and _heals(context, probe):
        return Look(middle, "kinks")
    nearest = corner.low if probe.autograd < corner.low else corner.high
    return Look(Derivative(nearest, corner.bar), corner=corner)


def _smooth(line: Line, noise: float) -> Look:
    best = sweep(line, noise)
    if math.isfinite(best.value):
        return Look(best)
    sides = [one_sided(line, noise, side) for side in (1, -1)]
    best = min(sides, key=lambda side: side.bar)
    # A quotient that still grows with every halving (sqrt at 0) is believed by nobody: no derivative there.
    return Look(best) if math.isfinite(best.value) else Look(UNKNOWN, "domain edge")


def _heals(context: Context, probe: Probe) -> bool:
    """Whether the disagreement vanishes, or cannot be measured, at a nearby point: kinks do vanish, bugs stay."""
    which = context.subject.leaves.index(probe.leaf)
    try:
        with nearby(context) as there:
            again = probe.at(there.subject.leaves[which], there.gradients.values[which])
            with again.line(there) as line:
                found = sweep(line, there.noise)
    except UsageProblem:
        return True  # the forward refuses the nearby point: nothing is proven
    return not math.isfinite(found.value) or abs(found.value - again.autograd) <= PROOF * found.bar
