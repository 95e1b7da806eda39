"""How exactly a function computes its values: ECnoise (Moré and Wild, SIAM J. Sci. Comput. 33(3), 2011)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from pytest_gradcheck.numerics.stencil import Line

POINTS = 8
#: The spacings to try. Too small and values coincide; too large and the differences see the function.
SPACINGS = (1e-10, 1e-8, 1e-6)
#: Tried where none of those shows anything: every value fell on one number of a coarse dtype.
LAST_RESORT = 1e-4


class Noise(NamedTuple):
    """The smallest and the largest noise level that shows at any spacing.

    They differ where a part of the function computes in lower precision (frozen at small spacings), oscillates or has
    kinks (smooth at small spacings): what is noise at one scale is the function at another.
    """

    fine: float
    coarse: float


def function_noise(line: Line, scale: float = 1.0) -> Noise:
    """The noise level of a function's values near a point, from tables of differences along a line.

    For values `f + e` with independent errors of standard deviation s, the k-th differences of equally spaced values
    tend to `s * sqrt((2k)!) / k!` once the differences of the smooth f have died out.

    Args:
        line: The function.
        scale: Magnitude of what is moved; the spacings are relative to it.

    Returns:
        Estimated standard deviations of one value, in the function's units; 0.0 where no noise shows.
    """
    levels = [_noise_at(line, spacing * scale) for spacing in SPACINGS]
    found = [level for level in levels if level is not None]
    if not found:
        last = _noise_at(line, LAST_RESORT * scale) or 0.0
        return Noise(last, last)
    return Noise(min(found), max(found))


def _noise_at(line: Line, spacing: float) -> float | None:
    values = [line(k * spacing)[0] for k in range(POINTS)]
    if not all(map(math.isfinite, values)) or len(set(values)) <= POINTS // 2:
        return None
    return _level(values)


def _level(values: list[float]) -> float | None:
    """The first level of the difference table at which three neighbours agree within a factor of four."""
    table, sigmas, mixed = values, [], []
    for k in range(1, POINTS):
        table = [after - before for before, after in pairwise(table)]
        gamma = math.factorial(k) ** 2 / math.factorial(2 * k)
        sigmas.append(math.sqrt(gamma * sum(entry * entry for entry in table) / len(table)))
        mixed.append(min(table) < 0 < max(table))
    for k in range(len(sigmas) - 2):
        three = sigmas[k : k + 3]
        # A change of sign within the level shows that noise, not the function's trend, makes the differences.
        if mixed[k] and max(three) <= 4 * min(three):
            return sigmas[k]
    return None
