"""How exactly a function computes its values: ECnoise (Moré and Wild, SIAM J. Sci. Comput. 33(3), 2011)."""

from __future__ import annotations

import math
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from pytest_gradcheck.numerics.stencil import Line

POINTS = 8
#: Spacings for a function that computes in float64; the second and third serve beside singularities.
FINE = (1e-10, 1e-12, 1e-14)
#: Spacings at which a part that computes in lower precision shows its rounding.
COARSE = (1e-8, 1e-6)
#: Tried where none of those shows anything: every value fell on one number of a coarse dtype.
LAST_RESORT = 1e-4
#: One step between two of the values that is this many times larger than all others is a jump of the function.
DWARFED = 1e3
#: A level this far above the rounding of the values may be a singularity close by: a finer table tells.
DOUBTFUL = 1e3


def fine_noise(line: Line, scale: float = 1.0, rounding: float = math.inf) -> float:
    """The noise level of a function's values near a point, at the smallest spacing that shows any.

    For values `f + e` with independent errors of standard deviation s, the k-th differences of equally spaced values
    tend to `s * sqrt((2k)!) / k!` once the differences of the smooth f have died out.

    Args:
        line: The function.
        scale: Magnitude of what is moved; the spacings are relative to it.
        rounding: What rounding of the values alone amounts to; a level far above it is looked at twice.

    Returns:
        Estimated standard deviation of one value, in the function's units; 0.0 where no noise shows.
    """
    level = math.inf
    for spacing in FINE:
        table = _table(line, spacing * scale)
        level = min(level, table.level)
        # Where values coincide a finer table shows less, and where they do not a plausible level needs no second look.
        if table.kind is Kind.FROZEN or (math.isfinite(level) and level <= DOUBTFUL * rounding):
            break
    for spacing in (*COARSE, LAST_RESORT) if math.isinf(level) else ():
        level = min(level, _table(line, spacing * scale).level)
        if math.isfinite(level):
            break
    return level if math.isfinite(level) else 0.0


def coarse_noise(line: Line, scale: float = 1.0) -> float:
    """The largest noise level that shows at spacings where a part in lower precision is no longer frozen; else 0.0.

    It may also be the function itself: kinks and fast oscillations are smooth at small spacings only.
    """
    tables = (_table(line, spacing * scale) for spacing in COARSE)
    return max((table.level for table in tables if table.kind is Kind.NOISY), default=0.0)


class Kind(Enum):
    """What a table of differences shows."""

    NOISY = "noisy"
    SMOOTH = "smooth"
    FROZEN = "frozen"
    UNCLEAR = "unclear"


class Table(NamedTuple):
    """What eight values show, and the noise level that follows from it; inf where none does."""

    kind: Kind
    level: float = math.inf


def _table(line: Line, spacing: float) -> Table:
    values = [line(k * spacing)[0] for k in range(POINTS)]
    if not all(map(math.isfinite, values)):
        return Table(Kind.UNCLEAR)
    if len(set(values)) <= POINTS // 2:
        return Table(Kind.FROZEN)
    if _jumps(values):
        # A jump at the point itself is no noise of the values beside it.
        values = [*values[1:], line(POINTS * spacing)[0]]
        if _jumps(values):
            return Table(Kind.UNCLEAR)
    differences, sigmas, mixed = values, [], []
    for k in range(1, POINTS):
        differences = [after - before for before, after in pairwise(differences)]
        gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
        sigmas.append(math.sqrt(gamma * sum(entry * entry for entry in differences) / len(differences)))
        mixed.append(min(differences) < 0 < max(differences))
    for k in range(len(sigmas) - 2):
        three = sigmas[k : k + 3]
        # A change of sign within the level shows that noise, not the function's trend, makes the differences.
        if mixed[k] and max(three) <= 4 * min(three):
            return Table(Kind.NOISY, sigmas[k])
    # No level yet, but every order is far smaller than the one before: noise cannot exceed what the last one is.
    if all(after <= before / 4 for before, after in pairwise(sigmas)):
        return Table(Kind.SMOOTH, 2 * sigmas[-1])
    return Table(Kind.UNCLEAR)


def _jumps(values: list[float]) -> bool:
    """Whether one step between neighbours dwarfs all others, or a value off the domain comes in."""
    differences = [after - before for before, after in pairwise(values)]
    if not all(map(math.isfinite, differences)):
        return True
    middle = median(differences)
    *_, second, largest = sorted(abs(difference - middle) for difference in differences)
    return largest > DWARFED * max(second, abs(middle))
