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
    """One-sided quotients at `eps`, `eps / 10` and `eps / 100`.

    Where the function is smooth their gap shrinks with the step; at a kink it stays; at a jump it grows.

    Args:
        line: The function.
        eps: The largest step.
        noise: Error of one value of the function.
    """
    gaps, slopes, grown = [], (math.nan, math.nan), 0
    for step in (eps, eps / 10, eps / 100):
        above, up = line(step)
        below, down = line(-step)
        if not (math.isfinite(above) and math.isfinite(below)):
            return Corner(Shape.EDGE, math.nan, math.nan, math.inf)
        if not (up > 0 > down):
            break  # the step is below the spacing of the numbers here
        now = (above / up, below / down)
        # A jump's quotients grow tenfold with every tenth of the step; noise grows too, but not by the same number.
        grown += all(before and 8 < after / before < 12.5 for before, after in zip(slopes, now, strict=True))
        slopes = now
        gaps.append(abs(slopes[0] - slopes[1]))
    if len(gaps) < 3:
        return Corner(Shape.UNCLEAR, math.nan, math.nan, math.inf)
    uncertain = 4 * noise / (eps / 100)
    if grown == 2:
        # Equal slopes on both sides that grow as the step shrinks: a jump from one side of the point to the other.
        return Corner(Shape.JUMP, min(slopes), max(slopes), uncertain)
    return Corner(_shape(gaps, uncertain), min(slopes), max(slopes), uncertain + abs(gaps[2] - gaps[1]))


def _shape(gaps: list[float], uncertain: float) -> Shape:
    first, middle, last = gaps
    if last <= max(uncertain, 0.2 * first):
        return Shape.SMOOTH
    if last > 5 * middle and middle > 5 * first:
        return Shape.JUMP
    # Noise makes the last gap rough, so the comparison allows for it; a smooth gap would have shrunk a hundredfold.
    if 0.5 * first <= last + uncertain and last <= 2 * first + uncertain and last > 5 * uncertain:
        return Shape.KINK
    return Shape.UNCLEAR
