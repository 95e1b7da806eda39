"""Telling a point where the function has a corner from one where it is smooth."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from pytest_gradcheck.numerics.stencil import Line


class Shape(Enum):
    """How a function behaves at a point, judged from both sides."""

    SMOOTH = "smooth"
    KINK = "kink"
    JUMP = "jump"
    EDGE = "edge"
    UNCLEAR = "unclear"


class Corner(NamedTuple):
    """The one-sided slopes at a point, lowest first, what they are uncertain by, and what they say about the point."""

    shape: Shape
    low: float
    high: float
    bar: float

    def admits(self, slope: float) -> bool:
        """Whether `slope` is a subgradient: it lies between the one-sided slopes."""
        return self.low - self.bar <= slope <= self.high + self.bar


#: A jump is believed when it is this many times higher than noise: the value at the point is in all six quotients, and
#: what noise makes of it grows tenfold with a tenth of the step, exactly as a jump does.
LOUD = 30
#: How far below `eps` the function is looked at again where it seems to have a corner.
NEARER = (1e-4, 1e-6)


def look_closer(line: Line, eps: float, noise: float) -> Corner:
    """One-sided quotients at `eps`, `eps / 10` and `eps / 100`, and at far smaller steps where those show a corner.

    Where the function is smooth their gap shrinks with the step; at a kink it stays; at a jump it grows. A pole or a
    narrow bend near the point looks like either from afar, but not from near.

    Args:
        line: The function.
        eps: The largest step.
        noise: Error of one value of the function.
    """
    sides: list[_Sides] = []
    for step in (eps, eps / 10, eps / 100):
        found = _look(line, step)
        if found is None:
            # The step is below the spacing of the numbers here.
            return Corner(Shape.UNCLEAR, math.nan, math.nan, math.inf)
        if not math.isfinite(found.gap):
            return Corner(Shape.EDGE, math.nan, math.nan, math.inf)
        sides.append(found)
    shape, last = _shape(sides, noise), sides[-1]
    nearer = [_look(line, eps * factor) for factor in NEARER] if shape in (Shape.KINK, Shape.JUMP) else []
    stays = _kink_stays if shape is Shape.KINK else _jump_stays
    if not all(found is None or stays(found, last, noise) for found in nearer):
        shape = Shape.UNCLEAR
    bar = 4 * noise / last.step + abs(last.gap - sides[-2].gap)
    return Corner(shape, min(last.above, last.below), max(last.above, last.below), bar)


class _Sides(NamedTuple):
    """The quotients above and below a point, the larger of the two changes, and the step."""

    above: float
    below: float
    height: float
    step: float

    @property
    def gap(self) -> float:
        return abs(self.above - self.below)


def _look(line: Line, step: float) -> _Sides | None:
    """Both sides at a step; None where floating point cannot make it."""
    above, up = line(step)
    below, down = line(-step)
    if not up > 0 > down:
        return None
    return _Sides(above / up, below / down, max(abs(above), abs(below)), step)


def _tenfold(before: _Sides, after: _Sides) -> bool:
    """Whether both slopes grew tenfold with a tenth of the step."""
    pairs = ((before.above, after.above), (before.below, after.below))
    return all(old and 8 < new / old < 12.5 for old, new in pairs)


def _kink_stays(found: _Sides, last: _Sides, noise: float) -> bool:
    """Whether the slopes are as far apart at a far smaller step, as far as noise lets one see."""
    uncertain = 4 * noise / found.step
    return not math.isfinite(found.gap) or (
        found.gap + uncertain >= 0.3 * last.gap and found.gap - uncertain <= 3 * last.gap
    )


def _jump_stays(found: _Sides, last: _Sides, noise: float) -> bool:
    """Whether the function changes by as much over a far smaller step."""
    return not math.isfinite(found.height) or 0.5 <= (found.height + 4 * noise) / (last.height + 4 * noise) <= 2


def _shape(sides: list[_Sides], noise: float) -> Shape:
    first, middle, last = (found.gap for found in sides)
    uncertain = 4 * noise / sides[-1].step
    # A jump from one side of the point to the other: both slopes grow, and the gap need not.
    grows = all(map(_tenfold, sides, sides[1:])) or (last > max(5 * middle, uncertain) and middle > 5 * first)
    if grows and sides[-1].height > LOUD * noise:
        return Shape.JUMP
    if last <= max(uncertain, 0.2 * first):
        return Shape.SMOOTH
    # Noise makes the last gap rough, so the comparison allows for it; a smooth gap would have shrunk a hundredfold.
    alike = all(0.5 * first <= gap + uncertain and gap <= 2 * first + uncertain for gap in (middle, last))
    return Shape.KINK if alike and last > 5 * uncertain else Shape.UNCLEAR
