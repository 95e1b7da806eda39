"""From a wrong projection to the elements that are wrong."""

from __future__ import annotations

import math

import torch

from pytest_gradcheck.checks import probes
from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.measure import Comparison, compare
from pytest_gradcheck.checks.probes import Probe
from pytest_gradcheck.numerics.directions import generator
from pytest_gradcheck.numerics.stencil import richardson, sweep
from pytest_gradcheck.subjects.subject import Leaf

#: Elements to sample beside the culprit, so that the diagnosis can tell a pattern from an accident.
SAMPLE = 48


def descend(context: Context, comparison: Comparison) -> int:
    """The flat position of an element that is wrong: halve the tangent, follow the half that disagrees more.

    The other half's difference is the parent's less its sibling's, so a level costs one derivative.
    """
    worst = int(comparison.difference.nan_to_num(math.inf).argmax())
    probe = comparison.probes[worst]
    leaf, tangent = probe.leaf, probe.tangent
    assert tangent is not None
    gradient = context.gradients.values[context.subject.leaves.index(leaf)]
    broken = (~leaf.real(gradient).reshape(-1).isfinite()).nonzero()
    if len(broken):
        return int(broken[0])
    first, last = 0, leaf.numel
    difference = float(comparison.numeric[worst] - comparison.autograd[worst])
    while last - first > 1:
        middle = (first + last) // 2
        lower = _difference(context, probes.part(leaf, gradient, tangent, first, middle))
        if abs(lower) >= abs(difference - lower):
            last, difference = middle, lower
        else:
            first, difference = middle, difference - lower
    return first


def sample(context: Context, leaf: Leaf, gradient: torch.Tensor, culprit: int) -> Comparison:
    """The culprit and some random other elements, measured one by one."""
    source = generator(context.settings.seed, "sample", leaf.name)
    if leaf.numel <= 4 * SAMPLE:
        drawn = torch.randperm(leaf.numel, generator=source)[:SAMPLE]
    else:
        drawn = torch.randint(0, leaf.numel, (SAMPLE,), generator=source)
    positions = sorted({culprit, *map(int, drawn)})
    return compare(context, probes.elements(leaf, gradient, positions))


def _difference(context: Context, probe: Probe) -> float:
    with probe.line(context) as line:
        found = sweep(line, context.noise) if context.rough else richardson(line, context.step, context.noise)
    return found.value - probe.autograd
