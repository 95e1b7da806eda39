"""Causes that show in the difference of the two gradients: a term that is missing, or one too many."""

from __future__ import annotations

import torch

from pytest_gradcheck.diagnosis.evidence import Cause, Evidence, distinct

#: A singular value below this share of the largest counts as zero, beyond what the error bars allow.
RANK = 1e-6


def constant_along(evidence: Evidence) -> Cause | None:
    """The difference does not change along an axis, alone or beside the tensor's own values: a sum or mean is missing.

    Softmax without its sum and a normalisation without its mean look like this.
    """
    gap, bars = evidence.numeric - evidence.autograd, evidence.bars
    for axis in reversed(range(len(evidence.shape))):
        groups = _groups(evidence, axis)
        for values, said in ((None, ""), *((value, f"{name} times ") for name, value in evidence.multipliers)):
            if values is not None and not bool((values.abs() > 0).all()):
                continue
            ratio = gap if values is None else gap / values
            allowed = 3 * bars / (1.0 if values is None else values.abs()) + 1e-6 * ratio.abs()
            found = _constant(ratio, allowed, groups)
            if found:
                what = f"the difference is {said}a number that is constant along axis {axis}"
                return Cause(f"{what}: a sum or a mean over that axis is missing, or one too many", found)
    return None


def low_rank(evidence: Evidence) -> Cause | None:
    """The difference is a matrix of low rank: one outer product, such as one sample's contribution, is missing."""
    gap = _matrix(evidence)
    if gap is None or min(gap[0].shape) < 4:
        return None
    matrix, bar = gap
    singular = torch.linalg.svdvals(matrix)
    rank = int((singular > RANK * singular[0] + 3 * bar).sum())
    if not 0 < rank <= min(matrix.shape) // 4:
        return None
    rows, columns = (int((matrix.abs() > RANK * singular[0] + 3 * bar).any(axis).sum()) for axis in (1, 0))
    if min(rows, columns) < rank + 3:
        return None  # a few rows or columns have low rank whatever is wrong with them
    what = "one outer product" if rank == 1 else f"{rank} outer products"
    return Cause(
        f"the difference has rank {rank} (of {min(matrix.shape)} possible): {what} of two vectors is missing, or too "
        f"many, as one sample's contribution or a rank-one correction is",
        1 - 1e-3 ** (min(rows, columns) - rank),
    )


def _groups(evidence: Evidence, axis: int) -> torch.Tensor:
    """A number per measured element, equal for those that differ in their index of `axis` alone."""
    key = torch.zeros_like(evidence.positions)
    for k, index in enumerate(evidence.grid):
        key = key if k == axis else key * evidence.shape[k] + index
    return key


def _constant(values: torch.Tensor, allowed: torch.Tensor, groups: torch.Tensor) -> float | None:
    """Confidence that the values are equal within each group, where they are and that says anything; else None."""
    evidence, levels = 0, []
    for group in torch.unique(groups):
        there = groups == group
        members, room = values[there], allowed[there]
        middle = members[room.argmin()]
        if bool(((members - middle).abs() > room + room.min()).any()):
            return None
        clear = int((members.abs() > 10 * room).sum())
        evidence += max(0, clear - 1)
        levels.append(middle)
    # One group, or one level for all, would be a constant added everywhere.
    if evidence < 2 or distinct(torch.stack(levels)) < min(2, len(levels)):
        return None
    return 1 - 1e-3 ** (evidence - 1)


def _matrix(evidence: Evidence) -> tuple[torch.Tensor, float] | None:
    """The difference on all rows and columns that were measured in full, and its error; None where there are none."""
    if len(evidence.shape) < 2:
        return None
    width = evidence.shape[-1]
    rows, columns = evidence.positions // width, evidence.positions % width
    measured = dict(zip(zip(rows.tolist(), columns.tolist(), strict=True), range(len(rows)), strict=True))
    by_row: dict[int, set[int]] = {}
    for row, column in measured:
        by_row.setdefault(row, set()).add(column)
    # The rows that share the most columns: a grid of sampled rows and columns, or the whole matrix.
    wide = [row for row, found in by_row.items() if len(found) >= 4]
    shared = set.intersection(*(by_row[row] for row in wide)) if wide else set()
    if not shared:
        return None
    picked = torch.tensor([[measured[row, column] for column in sorted(shared)] for row in sorted(wide)])
    gap = (evidence.numeric - evidence.autograd)[picked]
    return gap, float(evidence.bars[picked].norm())
