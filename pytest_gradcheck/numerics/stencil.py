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


#: The largest step of a sweep, and how often it is halved: down to 2e-10, and to 3e-15 beside a singularity.
LARGEST, HALVINGS, DEEPER = 1.6, 33, 16


def ladder(line: Line, largest: float = LARGEST, halvings: int = HALVINGS) -> Ladder:
    """The quotients at `largest / 2**k`, k = 0 .. halvings; every value serves all three orders."""
    return _extrapolated([], line, largest, halvings)


def _extrapolated(known: list[float], line: Line, largest: float, halvings: int) -> Ladder:
    """The ladder whose first quotients are known already."""
    steps = [largest / 2**k for k in range(halvings + 1)]
    second = known + [central(line, step) for step in steps[len(known) :]]
    fourth = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
    sixth = [(16 * fine - coarse) / 15 for coarse, fine in pairwise(fourth)]
    return Ladder(steps, second, fourth, sixth)


#: A claim above this share of its own estimate says nothing, unless noise alone explains it.
BELIEVABLE = 0.1
#: Halving the step must bring an estimate at least this much closer to its limit; order two gives 0.25.
CONTRACTION = 0.6


class Rung(NamedTuple):
    """One estimate of a ladder: what it claims, what noise alone makes of it, and how far its neighbours are."""

    value: float
    bar: float
    step: float
    rough: float
    before: float
    after: float

    @property
    def converges(self) -> bool:
        """Whether the estimates draw together here: across a pole, a kink or log(0) halving moves them on and on."""
        return self.after <= max(2 * self.rough, CONTRACTION * self.before)


def sweep(line: Line, noise: float) -> Derivative:
    """The best of many steps at order six.

    Each rung claims `|R6 - R4 of the next rung| + |R6 - R6 of its neighbours| + 3 noise / step`. Estimates at four
    steps must agree before a claim is small, so a kink or an oscillation between two rungs cannot fake one, and they
    must draw together as the step shrinks: a step whose stencil reaches across a singularity does not count. The
    smallest claim that smaller steps bear out wins. Steps that leave the domain are passed over.

    Args:
        line: The function.
        noise: Error of one value of the function.

    Returns:
        The estimate, or `UNKNOWN` where none is believable.
    """
    found = ladder(line)
    best = _best(_sixths(found, noise), noise)
    # The smallest steps win where a singularity is about as near as they are: only smaller ones can tell.
    if not best.step > 16 * found.steps[-1]:
        found = _extrapolated(found.second, line, LARGEST, HALVINGS + DEEPER)
        best = _best(_sixths(found, noise), noise)
    return best


def _sixths(found: Ladder, noise: float) -> list[Rung]:
    steps, _, fourth, sixth = found
    rungs = []
    for k in range(1, len(sixth) - 1):
        before, after = abs(sixth[k] - sixth[k - 1]), abs(sixth[k] - sixth[k + 1])
        rough = 3 * noise / steps[k + 2]
        rungs.append(
            Rung(sixth[k], abs(sixth[k] - fourth[k + 1]) + max(before, after) + rough, steps[k], rough, before, after)
        )
    return rungs


def _best(rungs: list[Rung], noise: float) -> Derivative:
    """The smallest claim that all smaller steps bear out and that is worth believing."""
    rungs = [rung for rung in rungs if math.isfinite(rung.bar)]
    # Beside a kink, a jump or a pole, large steps agree with each other on a slope that the point itself does not have.
    borne_out = [
        rung
        for rung in rungs
        if rung.converges
        and all(abs(near.value - rung.value) <= near.bar + rung.bar for near in rungs if near.step < rung.step)
    ]
    # A derivative of zero has no scale of its own: there a claim counts that noise alone accounts for.
    believable = [rung for rung in borne_out if rung.bar <= max(BELIEVABLE * abs(rung.value), 60 * noise / rung.step)]
    best = min(believable, key=lambda rung: rung.bar, default=None)
    return UNKNOWN if best is None else Derivative(best.value, best.bar, best.step)


def calibrated(line: Line, noise: float) -> Derivative:
    """The rung whose `richardson` estimate claims the smallest error: a step that suits the function."""
    steps, second, fourth, _ = ladder(line)
    rungs = []
    for k in range(1, len(fourth) - 1):
        before, after = abs(fourth[k] - fourth[k - 1]), abs(fourth[k] - fourth[k + 1])
        rough = 3 * noise / steps[k]
        rungs.append(Rung(fourth[k], abs(fourth[k] - second[k + 1]) + rough, steps[k], 4 * rough, before, after))
    return _best(rungs, noise)


def one_sided(line: Line, noise: float, side: int, largest: float = 1e-2, halvings: int = 16) -> Derivative:
    """The derivative from one side only, at the edge of a domain; `side` is +1 or -1.

    Quotients `D(h)` on a ladder of halved steps, extrapolated: `E = 2 D(h/2) - D(h)`, `F = (4 E(h/2) - E(h)) / 3`.
    """
    steps = [largest / 2**k for k in range(halvings + 1)]
    first = [_quotient(line, side * step) for step in steps]
    second = [2 * fine - coarse for coarse, fine in pairwise(first)]
    third = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
    rungs = []
    for k in range(1, len(third) - 1):
        before, after = abs(third[k] - third[k - 1]), abs(third[k] - third[k + 1])
        rough = 8 * noise / steps[k + 2]
        rungs.append(Rung(third[k], abs(third[k] - second[k + 1]) + after + rough, steps[k], rough, before, after))
    return _best(rungs, noise)


def _quotient(line: Line, step: float) -> float:
    change, displacement = line(step)
    return change / displacement if displacement else math.nan
