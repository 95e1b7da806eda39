"""How exactly a function computes its values: ECnoise (Moré and Wild, SIAM J. Sci. Comput. 33(3), 2011)."""

from __future__ import annotations

import math
from itertools import pairwise

from pytest_gradcheck.numerics.stencil import Line

POINTS = 8
#: The spacings to try. Too small and values coincide; too large and the differences see the function.
SPACINGS = (1e-10, 1e-8, 1e-6, 1e-4)


def function_noise(line: Line, scale: float = 1.0) -> float:
    """The noise level of a function's values near a point, from a table of differences along a line.

    For values `f + e` with independent errors of standard deviation s, the k-th differences of equally spaced values
    tend to `s * sqrt((2k)!) / k!` once the differences of the smooth f have died out.

    Args:
        line: The function.
        scale: Magnitude of what is moved; the spacings are relative to it.

    Returns:
        The estimated standard deviation of one value, in the function's units; 0.0 where no noise shows.
    """
    for spacing in SPACINGS:
        values = [line(k * spacing * scale)[0] for k in range(POINTS)]
        if not all(map(math.isfinite, values)):
            continue
        if len(set(values)) <= POINTS // 2:
            continue
        level = _level(values)
        if level is not None:
            return level
    return 0.0


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
