"""From a wrong projection to the elements that are wrong: all of them by bisection, or a sample where most are."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from pytest_gradcheck.checks import probes
from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.measure import Comparison
from pytest_gradcheck.checks.probes import Probe
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import generator
from pytest_gradcheck.numerics.stencil import Derivative, richardson, sweep
from pytest_gradcheck.subjects.subject import Leaf

#: Parts that the tensor is cut into before the share of wrong ones is looked at.
PARTS = 16
#: Above this share of wrong parts the error is everywhere, and finding each element would be measuring each element.
EVERYWHERE = 1 / 3
#: Wrong parts to follow at once, and wrong elements to name: beyond it a sample tells as much for less.
MOST = 48
#: Elements to sample: a pattern in them is told from an accident.
SAMPLE = 64
#: Elements to sample beside wrong ones that are all known: some right ones are enough to compare with.
BESIDE = 16
#: Elements to sample along each axis through one that is wrong.
ALONG = 8


class Located(NamedTuple):
    """Flat positions of elements that are wrong, and whether all others are known to be right."""

    positions: list[int]
    complete: bool


class _Part(NamedTuple):
    """The flat positions `first .. last - 1` of a tangent, and how far the two derivatives along them lie apart."""

    first: int
    last: int
    gap: Derivative

    @property
    def wrong(self) -> bool:
        return not abs(self.gap.value) <= PROOF * self.gap.bar

    @property
    def size(self) -> float:
        return abs(self.gap.value) if math.isfinite(self.gap.value) else math.inf


class _Cuts(NamedTuple):
    """What it takes to cut a part in two: the tangent that showed the error, and autograd's gradient."""

    context: Context
    probe: Probe
    gradient: torch.Tensor

    def halves(self, part: _Part) -> list[_Part]:
        """The halves of a part that are wrong; the worse one where neither is for sure."""
        if part.last - part.first == 1:
            return [part]
        middle = (part.first + part.last) // 2
        lower = self._gap(part.first, middle)
        upper = Derivative(part.gap.value - lower.value, part.gap.bar + lower.bar)
        halves = [_Part(part.first, middle, lower), _Part(middle, part.last, upper)]
        return [half for half in halves if half.wrong] or [max(halves, key=lambda half: half.size)]

    def one(self, parts: list[_Part]) -> int:
        """The position of one wrong element: follows the worst half of the worst part."""
        part = max(parts, key=lambda part: part.size)
        while part.last - part.first > 1:
            part = max(self.halves(part), key=lambda half: half.size)
        return part.first

    def _gap(self, first: int, last: int) -> Derivative:
        assert self.probe.tangent is not None
        probe = probes.part(self.probe.leaf, self.gradient, self.probe.tangent, first, last)
        noise, step = self.context.noise, self.context.step
        with probe.line(self.context) as line:
            found = sweep(line, noise) if self.context.rough else richardson(line, step, noise)
        return Derivative(found.value - probe.autograd, found.bar)


def locate(context: Context, comparison: Comparison) -> Located:
    """Halves the worst tangent again and again, and follows every half that is proven wrong.

    A half's difference is the parent's less its sibling's, so a cut costs one derivative. Where a third of the tensor's
    parts is wrong, or too many are, it stops: one element is given, and that there are more.

    Args:
        context: What the check was given.
        comparison: The measurement along random tangents that showed a tensor to be wrong.
    """
    cuts, whole = _first(context, comparison)
    leaf, gradient = cuts.probe.leaf, cuts.gradient
    broken = (~leaf.real(gradient).reshape(-1).isfinite()).nonzero().flatten()
    if len(broken):
        return Located([int(position) for position in broken[:MOST]], False)
    parts, pieces = [whole], 1
    everywhere = context.rough or not bool(gradient.any())
    while any(part.last - part.first > 1 for part in parts):
        if everywhere or len(parts) > MOST or context.deadline.passed:
            return Located([cuts.one(parts)], False)
        parts = [half for part in parts for half in cuts.halves(part)]
        pieces *= 2
        # A few wrong elements fill a third of few parts; a third of many parts they cannot fill.
        everywhere = pieces >= PARTS and len(parts) > EVERYWHERE * max(pieces, 2 * PARTS)
    return Located(sorted(part.first for part in parts), True)


def descend(context: Context, comparison: Comparison) -> int:
    """The flat position of one element that is wrong: follows the half that disagrees more."""
    cuts, whole = _first(context, comparison)
    return cuts.one([whole])


def _first(context: Context, comparison: Comparison) -> tuple[_Cuts, _Part]:
    """The worst tangent, whole."""
    worst = int(comparison.difference.nan_to_num(math.inf).argmax())
    probe = comparison.probes[worst]
    gradient = context.gradients.values[context.subject.leaves.index(probe.leaf)]
    gap = Derivative(float((comparison.numeric - comparison.autograd)[worst]), float(comparison.bars[worst]))
    return _Cuts(context, probe, gradient), _Part(0, probe.leaf.numel, gap)


def sampled(context: Context, leaf: Leaf, located: Located) -> list[int]:
    """The located elements and others to compare with: a grid of rows and columns, and lines through a wrong one."""
    source = generator(context.settings.seed, "sample", leaf.name)
    shape = tuple(leaf.real().shape)
    drawn = {*located.positions[:MOST], *_grid(shape, BESIDE if located.complete else SAMPLE, source)}
    if not located.complete:
        drawn |= set(_lines(shape, located.positions[0], source))
    return sorted(drawn)


def _grid(shape: tuple[int, ...], most: int, source: torch.Generator) -> list[int]:
    """Random rows times random columns (the last axis), so that a matrix of low rank shows in them too."""
    width = shape[-1] if shape else 1
    height = math.prod(shape) // width
    rows = min(height, max(math.isqrt(most), most // width))
    columns = min(width, max(math.isqrt(most), most // height))
    picked = [_drawn(size, count, source) for size, count in ((height, rows), (width, columns))]
    return [row * width + column for row in picked[0] for column in picked[1]]


def _drawn(size: int, count: int, source: torch.Generator) -> list[int]:
    """Different numbers below `size`; for a large one repeats are rare and do no harm."""
    if size <= 4 * count:
        return [int(place) for place in torch.randperm(size, generator=source)[:count]]
    return [int(place) for place in torch.randint(0, size, (count,), generator=source)]


def _lines(shape: tuple[int, ...], position: int, source: torch.Generator) -> list[int]:
    """Positions along every axis through one: both ends, the neighbours, and some at random."""
    found, stride = [], 1
    for size in reversed(shape):
        here = position // stride % size
        places = {0, size - 1, max(here - 1, 0), min(here + 1, size - 1), *_drawn(size, ALONG, source)}
        found += [position + (place - here) * stride for place in places]
        stride *= size
    return found
