"""Probes: the lines along which a leaf is moved, each with the derivative that autograd claims there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.numerics.directions import Tangent, generator
from pytest_gradcheck.numerics.stencil import Line
from pytest_gradcheck.subjects.subject import Leaf

#: Tangents per tensor in projection mode. One misses an error only if it is orthogonal to it; two guard against luck.
TANGENTS = 2


@dataclass(frozen=True, eq=False)
class Probe:
    """One element of a leaf (`position`), or one direction in its space (`tangent`)."""

    leaf: Leaf
    autograd: float
    position: int | None = None
    tangent: Tangent | None = None

    @contextmanager
    def line(self, context: Context) -> Iterator[Line]:
        """The line of this probe through the point of the check."""
        if self.position is not None:
            with context.subject.along_element(self.leaf, self.position, context.objective) as line:
                yield line
        else:
            assert self.tangent is not None
            with context.subject.along({self.leaf: self.tangent}, context.objective) as line:
                yield line

    def at(self, leaf: Leaf, gradient: torch.Tensor) -> Probe:
        """The same probe of a leaf at another point, with the gradient there."""
        if self.position is not None:
            return elements(leaf, gradient, [self.position])[0]
        assert self.tangent is not None
        return Probe(leaf, self.tangent.along(gradient), tangent=self.tangent)


def elements(leaf: Leaf, gradient: torch.Tensor, positions: range | list[int]) -> list[Probe]:
    """A probe per element; positions count real numbers, in the order of the leaf's index."""
    claims = leaf.real(gradient).reshape(-1)[torch.as_tensor(positions, dtype=torch.long)].tolist()
    return [Probe(leaf, claim, position=position) for position, claim in zip(positions, claims, strict=True)]


def tangents(leaf: Leaf, gradient: torch.Tensor, seed: int) -> list[Probe]:
    """Random signed directions over the whole leaf."""
    drawn = [Tangent(leaf.tensor, generator(seed, "tangent", leaf.name, leaf.kind, k)) for k in range(TANGENTS)]
    return [Probe(leaf, tangent.along(gradient), tangent=tangent) for tangent in drawn]


def part(leaf: Leaf, gradient: torch.Tensor, tangent: Tangent, first: int, last: int) -> Probe:
    """The tangent with everything outside of the flat positions `first .. last - 1` set to zero."""
    masked = tangent.part(first, last)
    return Probe(leaf, masked.along(gradient), tangent=masked)
