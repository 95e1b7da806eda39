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


def look_closer(line: Line, eps: float, noise: float) -> Corner:
    """One-sided quotients at `eps`, `eps / 10` and `eps / 100`, and at far smaller steps where those show a corner.

    Where the function is smooth their gap shrinks with the step; at a kink it stays; at a jump it grows. A pole or a
    narrow bend near the point looks like either from afar, but not from near.

    Args:
        line: The function.
        eps: The largest step.
        noise: Error of one value of the function.
    """
    slopes: list[tuple[float, float]] = []
    for step in (eps, eps / 10, eps / 100):
        above, up = line(step)
        below, down = line(-step)
        if not (math.isfinite(above) and math.isfinite(below)):
            return Corner(Shape.EDGE, math.nan, math.nan, math.inf)
        if not (up > 0 > down):
            # The step is below the spacing of the numbers here.
            return Corner(Shape.UNCLEAR, math.nan, math.nan, math.inf)
        slopes.append((above / up, below / down))
    gaps = [abs(above - below) for above, below in slopes]
    uncertain = 4 * noise / (eps / 100)
    # Slopes on both sides that grow as the step shrinks: a jump from one side of the point to the other.
    shape = Shape.JUMP if all(map(_tenfold, slopes, slopes[1:])) else _shape(gaps, uncertain)
    if shape in (Shape.KINK, Shape.JUMP) and not _stays(line, eps, noise, shape, gaps):
        shape = Shape.UNCLEAR
    return Corner(shape, min(slopes[-1]), max(slopes[-1]), uncertain + abs(gaps[2] - gaps[1]))


def _tenfold(before: tuple[float, float], after: tuple[float, float]) -> bool:
    """Whether both slopes grew tenfold with a tenth of the step; noise grows too, but not by the same number."""
    return all(old and 8 < new / old < 12.5 for old, new in zip(before, after, strict=True))


def _shape(gaps: list[float], uncertain: float) -> Shape:
    first, middle, last = gaps
    if last <= max(uncertain, 0.2 * first):
        return Shape.SMOOTH
    if last > 5 * middle and middle > 5 * first:
        return Shape.JUMP
    # Noise makes the last gap rough, so the comparison allows for it; a smooth gap would have shrunk a hundredfold.
    alike = all(0.5 * first <= gap + uncertain and gap <= 2 * first + uncertain for gap in (middle, last))
    return Shape.KINK if alike and last > 5 * uncertain else Shape.UNCLEAR


#: How far below `eps` the function is looked at again where it seems to have a corner.
NEARER = (1e-4, 1e-6)


def _stays(line: Line, eps: float, noise: float, shape: Shape, gaps: list[float]) -> bool:
    """Whether a kink or jump is still there at far smaller steps, as far as noise and number spacing let one see."""
    for factor in NEARER:
        step = eps * factor
        above, up = line(step)
        below, down = line(-step)
        if not (up > 0 > down and math.isfinite(above) and math.isfinite(below)):
            return True
        gap, uncertain = abs(above / up - below / down), 4 * noise / step
        expected = gaps[2] if shape is Shape.KINK else gaps[2] * 1e-2 / factor
        if gap + uncertain < 0.3 * expected or gap - uncertain > 3 * expected:
            return False
    return True
