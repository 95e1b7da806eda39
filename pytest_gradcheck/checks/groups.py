"""Elements of a leaf that can be moved at once, because no output element depends on two of them.

A row of a linear layer's weight moves one column of its output, a sample of a batch its own. Each axis of a leaf is cut
into slices; a slice is moved as a whole, along random entries, by plain evaluations, and the output elements that
change in any bit are its reach. Slices whose reaches are disjoint share a colour. Two elements with equal colours along
all axes then reach disjoint outputs, and one evaluation measures both: `<v, f>` is summed over each one's reach alone.

The idea is that of Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices" (1974), with the pattern
measured instead of given. A dependence that a slice's random move leaves out is below the rounding of the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.numerics.directions import generator, signed
from pytest_gradcheck.subjects.subject import Leaf

#: A slice costs four plain evaluations; an axis must have this many times fewer of them than the leaf has elements.
WORTH = 12
#: Slices times output elements of an axis, whose owners take eight bytes each: 32 MB.
ROOM = 1 << 22


@dataclass(frozen=True)
class Axis:
    """The slices of a leaf along one axis, coloured.

    Attributes:
        colours: The colour of every slice; shape (size,).
        owner: By colour and output element, the one slice of that colour that reaches it, or -1; shape (number of
            colours, output elements). None where every slice has a colour of its own: then it may reach everything.
    """

    colours: torch.Tensor
    owner: torch.Tensor | None

    @classmethod
    def alone(cls, size: int) -> Axis:
        """Slices of which no two are moved at once."""
        return cls(torch.arange(size), None)

    @property
    def count(self) -> int:
        """The number of colours."""
        return int(self.colours.max()) + 1


class Groups:
    """The elements of a leaf in groups that are moved at once; a group is a colour along every axis.

    Attributes:
        of: The group of every element, by its flat position; int64, shape (numel,).
    """

    def __init__(self, sizes: torch.Size, axes: list[Axis]) -> None:
        self._sizes, self._axes = sizes, axes
        self.of = torch.zeros(sizes, dtype=torch.long)
        for k, axis in enumerate(axes):
            self.of = self.of * axis.count + axis.colours.view(-1, *[1] * (len(sizes) - k - 1))
        self.of = self.of.reshape(-1)
        order = self.of.argsort(stable=True)
        self._members: Sequence[torch.Tensor] = torch.split(order, torch.bincount(self.of).tolist())

    @classmethod
    def measured(cls, context: Context, leaf: Leaf) -> Groups | None:
        """The leaf's groups, or None where none has two members, or the budget does not allow to look."""
        sizes = leaf.real().shape
        outputs = sum(output.numel() * (2 if output.is_complex() else 1) for output in context.baseline)
        axes = []
        for k, size in enumerate(sizes):
            worth = size > 1 and WORTH * size <= leaf.numel and size * outputs <= ROOM
            found = _coloured(context, leaf, k) if worth and not context.deadline.passed else None
            axes.append(found or Axis.alone(size))
        return cls(sizes, axes) if any(axis.owner is not None for axis in axes) else None

    def members(self, group: int) -> torch.Tensor:
        """Flat positions of the elements of a group."""
        return self._members[group]

    def owners(self, groups: torch.Tensor) -> torch.Tensor:
        """By group and output element, the flat position of the one member that reaches it, or -1.

        Returns:
            int64, shape (len(groups), output elements).
        """
        found, stride, nobody = torch.zeros(len(groups), 1, dtype=torch.long), 1, torch.zeros((), dtype=torch.bool)
        for size, axis in zip(reversed(self._sizes), reversed(self._axes), strict=True):
            colour, groups = groups % axis.count, groups // axis.count
            slices = colour[:, None] if axis.owner is None else axis.owner[colour]
            found, nobody, stride = found + stride * slices, nobody | (slices < 0), stride * size
        return found.masked_fill(nobody, -1)


def _coloured(context: Context, leaf: Leaf, k: int) -> Axis | None:
    size = leaf.real().shape[k]
    reach: dict[int, torch.Tensor] = {}
    # Where the first and the last reach the same outputs, so do most others: two slices settle it.
    order = [0, size - 1, *range(1, size - 1)]
    try:
        for where, found in _reaches(context, leaf, k, order):
            reach[where] = found
            if len(reach) == 2 and bool((reach[0] & found).any()):
                return None
    except UsageProblem:
        return None  # the moves lead off the forward's domain
    if len(reach) < size:
        return None
    return _greedy([reach[where] for where in range(size)])


def _greedy(reaches: list[torch.Tensor]) -> Axis | None:
    """Gives every slice the first colour none of whose slices it meets."""
    colours: list[int] = []
    owners: list[torch.Tensor] = []
    for where, reach in enumerate(reaches):
        colour = next((c for c, owner in enumerate(owners) if not bool((owner[reach] >= 0).any())), len(owners))
        if colour == len(owners):
            owners.append(torch.full(reach.shape, -1, dtype=torch.long))
        owners[colour][reach] = where
        colours.append(colour)
    return Axis(torch.tensor(colours), torch.stack(owners)) if len(owners) < len(reaches) else None


def _reaches(context: Context, leaf: Leaf, k: int, order: list[int]) -> Iterator[tuple[int, torch.Tensor]]:
    """What each slice along an axis reaches: near the point of the check by one step both ways, and somewhere else."""
    values = leaf.real()
    start = values.clone()
    source = generator(context.settings.seed, "groups", leaf.name, leaf.kind, k)
    near, far = signed(start, source), signed(start, source)
    elsewhere = start + signed(start, source)
    moves = [(start, context.step * near), (start, -context.step * near), (start, far), (elsewhere, far)]
    try:
        bases = [_outputs(context)] * 3
        values.copy_(elsewhere)
        bases.append(_outputs(context))
        for where in order:
            if context.deadline.passed:
                return
            changed = torch.zeros_like(bases[0], dtype=torch.bool)
            for (point, by), base in zip(moves, bases, strict=True):
                values.copy_(point).select(k, where).add_(by.select(k, where))
                found = _outputs(context)
                if found.shape != base.shape:
                    raise UsageProblem("the shape of the outputs depends on the values")
                changed |= (found != base) | ~found.isfinite()
            yield where, changed
    finally:
        values.copy_(start)


def _outputs(context: Context) -> torch.Tensor:
    """All output elements as real numbers, one after the other."""
    outputs = [output.detach().resolve_conj() for output in context.subject.evaluate()]
    flat = [(torch.view_as_real(y) if y.is_complex() else y).reshape(-1).double().cpu() for y in outputs]
    return torch.cat(flat)
