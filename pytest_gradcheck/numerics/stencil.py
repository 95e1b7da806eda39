"""Derivatives of a function of one real variable, each with an honest error bar.

The function is a `Line`: `line(h)` moves the subject by `h` and returns the change of its value together with the
displacement that floating point really made of `h`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

#: `line(h) -> (value at h minus value at 0, displacement as realised)`.
Line = Callable[[float], tuple[float, float]]


class Derivative(NamedTuple):
    """An estimate, the bound on its error that it claims, and the step it came from."""

    value: float
    bar: float
    step: float = math.nan


UNKNOWN = Derivative(math.nan, math.inf)


def central(line: Line, eps: float) -> float:
    """The quotient `(J(t + eps) - J(t - eps)) / (2 eps)`, over the realised displacement; nan off the domain."""
    above, up = line(eps)
    below, down = line(-eps)
    return (above - below) / (up - down) if up > down else math.nan


def richardson(line: Line, eps: float, noise: float) -> Derivative:
    """The central quotients at `eps` and `eps / 2`, extrapolated to order four (Richardson, 1911).

    Args:
        line: The function.
        eps: The larger step.
        noise: Error of one value of the function.

    Returns:
        `R = (4 C(eps/2) - C(eps)) / 3` with the bar `|R - C(eps/2)| + 3 noise / eps`: the first term bounds what
        truncation is left, the second what the noise of four values makes of R.
    """
    coarse, fine = central(line, eps), central(line, eps / 2)
    best = (4 * fine - coarse) / 3
    if not math.isfinite(best):
        return UNKNOWN
    return Derivative(best, abs(best - fine) + 3 * noise / eps, eps)


class Ladder(NamedTuple):
    """Central quotients on halved steps, and their extrapolations to orders four and six."""

    steps: list[float]
    second: list[float]
    fourth: list[float]
    sixth: list[float]


def ladder(line: Line, largest: float = 0.2, halvings: int = 30) -> Ladder:
    """The quotients at `largest / 2**k`, k = 0 .. halvings; every value serves all three orders."""
    steps = [largest / 2**k for k in range(halvings + 1)]
    second = [central(line, step) for step in steps]
    fourth = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
    sixth = [(16 * fine - coarse) / 15 for coarse, fine in pairwise(fourth)]
    return Ladder(steps, second, fourth, sixth)


def sweep(line: Line, noise: float) -> Derivative:
    """The best of many steps at order six.

    Each rung claims `|R6 - R4 of the next rung| + |R6 - R6 of its neighbours| + 3 noise / step`, and the smallest claim
    wins. Estimates at four steps must agree before a claim is small, so a kink or an oscillation between two rungs
    cannot fake one. Steps that leave the domain are passed over.

    Args:
        line: The function.
        noise: Error of one value of the function.
    """
    steps, _, fourth, sixth = ladder(line)
    best = UNKNOWN
    for k in range(1, len(sixth) - 1):
        neighbours = max(abs(sixth[k] - sixth[k - 1]), abs(sixth[k] - sixth[k + 1]))
        claim = abs(sixth[k] - fourth[k + 1]) + neighbours + 3 * noise / steps[k + 2]
        if claim < best.bar:
            best = Derivative(sixth[k], claim, steps[k])
    return best


def calibrated(line: Line, noise: float) -> Derivative:
    """The rung whose `richardson` estimate claims the smallest error: a step that suits the function."""
    steps, second, fourth, _ = ladder(line)
    best = UNKNOWN
    for k, value in enumerate(fourth):
        claim = abs(value - second[k + 1]) + 3 * noise / steps[k]
        if claim < best.bar:
            best = Derivative(value, claim, steps[k])
    return best


def one_sided(line: Line, noise: float, side: int, largest: float = 1e-2, halvings: int = 16) -> Derivative:
    """The derivative from one side only, at the edge of a domain; `side` is +1 or -1.

    Quotients `D(h)` on a ladder of halved steps, extrapolated: `E = 2 D(h/2) - D(h)`, `F = (4 E(h/2) - E(h)) / 3`.
    """
    steps = [largest / 2**k for k in range(halvings + 1)]
    first = [_quotient(line, side * step) for step in steps]
    second = [2 * fine - coarse for coarse, fine in pairwise(first)]
    third = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
    best = UNKNOWN
    for k in range(len(third) - 1):
        claim = abs(third[k] - second[k + 1]) + abs(third[k] - third[k + 1]) + 8 * noise / steps[k + 2]
        if claim < best.bar:
            best = Derivative(third[k], claim, steps[k])
    return best


def _quotient(line: Line, step: float) -> float:
    change, displacement = line(step)
    return change / displacement if displacement else math.nan
