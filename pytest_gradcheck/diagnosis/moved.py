"""Right numbers in the wrong places: transposed, flipped, rolled, shifted, returned for another tensor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import prod

import torch

from pytest_gradcheck.diagnosis.evidence import SAID, Cause, Evidence, confidence

#: Rolls and shifts by at most this many places are looked for.
FAR = 16

Index = Sequence[torch.Tensor]


def swapped(evidence: Evidence) -> Cause | None:
    """Another tensor received this one's gradient, or both received the same one."""
    same = [other for other in evidence.others if other.shape == evidence.shape]
    for other in same:
        if other.flat.any() and torch.equal(other.flat, evidence.whole):
            return Cause(f"{evidence.name} and {other.name} receive one and the same gradient", 1.0)
        there = other.flat[evidence.positions].double().cpu()
        found = confidence(there, evidence.numeric, evidence.autograd, evidence.bars, tried=len(same))
        if found >= SAID:
            return Cause(
                f"{other.name} received the gradient of {evidence.name}: are the two swapped in what backward returns?",
                found,
            )
    return None


def transposed(evidence: Evidence) -> Cause | None:
    """Two axes of one size are exchanged."""
    for first, second in combinations(range(-len(evidence.shape), 0), 2):
        if evidence.shape[first] == evidence.shape[second]:
            index = list(evidence.grid)
            index[first], index[second] = index[second], index[first]
            said = f"the gradient is transposed: autograd = numeric.transpose({first}, {second})"
            found = _landed(evidence, said, index)
            if found:
                return found
    return None


def memory_order(evidence: Evidence) -> Cause | None:
    """The transposed gradient's memory was read as if it had the tensor's own shape."""
    if len(evidence.shape) < 2 or min(evidence.shape[-2:]) < 2:
        return None
    rows, columns = evidence.shape[-2:]
    *outer, row, column = evidence.grid
    place = column * rows + row
    said = (
        "the transpose was reshaped: autograd = numeric.transpose(-1, -2).reshape(shape); view and reshape read memory "
        "in order, they do not exchange axes"
    )
    return _landed(evidence, said, [*outer, place // columns, place % columns])


def flipped(evidence: Evidence) -> Cause | None:
    """One axis, the last two or all of them run backwards."""
    axes = [axis for axis, size in enumerate(evidence.shape) if size > 1]
    sets = [chosen for chosen in dict.fromkeys([*((axis,) for axis in axes), tuple(axes[-2:]), tuple(axes)]) if chosen]
    for chosen in sets:
        index = [
            evidence.shape[axis] - 1 - place if axis in chosen else place for axis, place in enumerate(evidence.grid)
        ]
        along = f"axis {chosen[0]}" if len(chosen) == 1 else f"axes {' and '.join(map(str, chosen))}"
        said = f"the gradient is flipped along {along}: autograd = numeric.flip({', '.join(map(str, chosen))})"
        found = _landed(evidence, said, index, len(sets))
        if found:
            return found
    return None


def rolled(evidence: Evidence) -> Cause | None:
    """All elements are moved along one axis, around its end or beyond it."""
    tried = list(_moves(evidence.shape))
    for axis, by in tried:
        index = list(evidence.grid)
        index[axis] = (index[axis] + by) % evidence.shape[axis]
        said = f"the gradient is rolled along axis {axis} by {by}: autograd = numeric.roll({by}, {axis})"
        found = _landed(evidence, said, index, 2 * len(tried)) or _shifted(evidence, axis, by, 2 * len(tried))
        if found:
            return found
    return None


def _moves(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Axis and distance of every roll, each once: the shorter way round."""
    for axis, size in enumerate(shape):
        for by in range(1, min(size - 1, FAR) + 1):
            if 2 * by <= size:
                yield axis, by
            if 2 * by < size:
                yield axis, -by


def _shifted(evidence: Evidence, axis: int, by: int, tried: int) -> Cause | None:
    """Moved along an axis without coming back at the other end, where zeros are left."""
    size = evidence.shape[axis]
    left = evidence.whole.reshape(evidence.shape).narrow(axis, 0 if by > 0 else size + by, abs(by))
    inside = (evidence.grid[axis] + by >= 0) & (evidence.grid[axis] + by < size)
    if bool(left.any()) or not bool(inside.any()):
        return None
    said = (
        f"the gradient is shifted along axis {axis} by {by}, with zeros where nothing came from: off by one in an "
        f"index or a padding?"
    )
    kept = evidence.only(inside)
    index = list(kept.grid)
    index[axis] = index[axis] + by
    return _landed(kept, said, index, tried)


def _landed(evidence: Evidence, said: str, index: Index, tried: int = 1) -> Cause | None:
    """The cause where each numeric element is found at another index of autograd's gradient.

    That way round, because autograd's gradient is known everywhere, the numeric one only where it was measured.
    """
    place = torch.zeros_like(evidence.positions)
    for axis, where in enumerate(index):
        place += where * prod(evidence.shape[axis + 1 :])
    there = evidence.whole[place].double().cpu()
    found = confidence(there, evidence.numeric, evidence.autograd, evidence.bars, tried=tried)
    return Cause(said, found) if found >= SAID else None
