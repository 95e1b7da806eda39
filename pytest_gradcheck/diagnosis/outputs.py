"""Causes that show in how each output element depends on the tensor: on the way back something was left out or bent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from pytest_gradcheck.diagnosis.evidence import SAID, Cause, Columns, Evidence, confidence
from pytest_gradcheck.diagnosis.factors import factor

#: Slices of the outputs that are tried one by one.
SLICES = 128

#: What a backward may make of its incoming gradient, beside using it as it is.
BENT: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "is ignored: the backward computes as if it were all ones": torch.ones_like,
    "loses its sign: the backward uses its absolute value": torch.abs,
    "loses its size: the backward uses its sign": torch.sign,
    "is clamped to -1 .. 1": lambda v: v.clamp(-1, 1),
    "is squared": lambda v: v * v,
    "is summed over all elements first": lambda v: v.sum().expand(v.shape),
    "is averaged over all elements first": lambda v: v.mean().expand(v.shape),
    "is summed over its last axis first": lambda v: v.sum(-1, keepdim=True).expand(v.shape) if v.dim() else v,
    "is averaged over its last axis first": lambda v: v.mean(-1, keepdim=True).expand(v.shape) if v.dim() else v,
    "is summed over its first axis first": lambda v: v.sum(0, keepdim=True).expand(v.shape) if v.dim() else v,
    "is averaged over its first axis first": lambda v: v.mean(0, keepdim=True).expand(v.shape) if v.dim() else v,
}


def bent_cotangent(evidence: Evidence) -> Cause | None:
    """The backward ignores its incoming gradient, or uses something else made of it."""
    columns = evidence.columns
    if columns is None or all(v.numel() == 1 for v in columns.cotangents):
        return None
    for said, bend in BENT.items():
        candidate = columns.pulled([bend(v) for v in columns.cotangents])
        found = _confidence(evidence, columns, candidate, tried=len(BENT))
        if found >= SAID:
            return Cause(f"the incoming gradient {said}", found)
    return None


def one_output(evidence: Evidence) -> Cause | None:
    """Of several outputs one alone sends a wrong gradient."""
    columns = evidence.columns
    if columns is None or len(columns.outputs) < 2:
        return None
    for k, (jacobian, cotangent) in enumerate(zip(columns.outputs, columns.cotangents, strict=True)):
        share = (jacobian * cotangent).reshape(len(columns.chosen), cotangent.numel()).sum(1)
        cause = _share(evidence, columns, share, f"output {k} of {len(columns.outputs)}", len(columns.outputs))
        if cause:
            return cause
    return None


def one_slice_of_the_output(evidence: Evidence) -> Cause | None:
    """Only one row of the output counts, or all but one, or its border is left out: a sum or a loop is cut short."""
    columns = evidence.columns
    if columns is None:
        return None
    slices = list(_slices(columns))
    for said, share in slices:
        found = _confidence(evidence, columns, share, tried=2 * len(slices))
        if found >= SAID:
            return Cause(f"only {said} counts: a sum over the others is missing", found)
        cause = _share(evidence, columns, share, said, 2 * len(slices))
        if cause:
            return cause
    return None


def duplicates(evidence: Evidence) -> Cause | None:
    """Elements that several output elements read keep one contribution only: they overwrite each other."""
    columns = evidence.columns
    if columns is None:
        return None
    parts = columns.parts(columns.cotangents)
    floor = 3 * evidence.bars[columns.chosen].unsqueeze(1) + 1e-9 * parts.abs().amax(1, keepdim=True)
    present = parts.abs() > floor
    counts = present.sum(1)
    if not (bool((counts > 1).any()) and bool((counts <= 1).any())):
        return None
    order = torch.arange(parts.shape[1])
    last = torch.where(present, order, -1).argmax(1)
    first = torch.where(present, order, parts.shape[1]).argmin(1)
    rows = torch.arange(len(parts))
    kept = {
        "only the last one's gradient is kept: they overwrite each other where they must add up": parts[rows, last],
        "only the first one's gradient is kept, the others must be added": parts[rows, first],
        "their gradients are averaged, they must add up": parts.sum(1) / counts.clamp(1),
    }
    for said, candidate in kept.items():
        found = _confidence(evidence, columns, torch.where(counts > 0, candidate, 0.0), tried=len(kept))
        if found >= SAID:
            return Cause(f"where several output elements read one element (duplicate indices) {said}", found)
    return None


def _slices(columns: Columns) -> Iterator[tuple[str, torch.Tensor]]:
    """What each slice of each output along each axis adds to the gradient, in words and numbers."""
    several = len(columns.outputs) > 1
    for k, (jacobian, cotangent) in enumerate(zip(columns.outputs, columns.cotangents, strict=True)):
        parts, of = jacobian * cotangent, f"output {k}" if several else "the output"
        for axis, size in enumerate(cotangent.shape):
            if not 2 < size <= SLICES:
                continue
            moved = parts.movedim(axis + 1, 1).flatten(2).sum(2) if parts.dim() > 2 else parts
            for place in range(size):
                last = " (the last)" if place == size - 1 else " (the first)" if not place else ""
                yield f"index {place}{last} of axis {axis} of {of}", moved[:, place]
            if size > 3:
                yield f"the border of axis {axis} of {of}", moved[:, 0] + moved[:, -1]


def _share(evidence: Evidence, columns: Columns, share: torch.Tensor, what: str, tried: int) -> Cause | None:
    """The cause where the difference is a multiple of what one part of the outputs adds."""
    autograd, numeric = evidence.autograd[columns.chosen], evidence.numeric[columns.chosen]
    value = factor(autograd - numeric, share)
    if value is None:
        return None
    # Round numbers were not fitted: left out, or with the wrong sign, or twice.
    times = {-1.0: "is left out", -2.0: "has the wrong sign", 1.0: "counts twice"}
    near = next((known for known in times if abs(value - known) < 1e-4), None)
    said = times[near] if near is not None else f"counts {1 + value:.6g} times"
    candidate = numeric + (value if near is None else near) * share
    found = _confidence(evidence, columns, candidate, free=int(near is None), tried=tried)
    return Cause(f"{what} {said}, the others are right", found) if found >= SAID else None


def _confidence(evidence: Evidence, columns: Columns, candidate: torch.Tensor, free: int = 0, tried: int = 1) -> float:
    autograd, numeric = evidence.autograd[columns.chosen], evidence.numeric[columns.chosen]
    return confidence(autograd, candidate, numeric, evidence.bars[columns.chosen], free, tried)
