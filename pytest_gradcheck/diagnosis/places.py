"""Causes that show by where the wrong elements lie, while all others are right."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pytest_gradcheck.diagnosis.evidence import Cause, Evidence
from pytest_gradcheck.diagnosis.factors import factor

#: With fewer elements than this on a side, wrong or right, a pattern in the values would be a coincidence too often.
ENOUGH = 6


def one_slice(evidence: Evidence) -> Cause | None:
    """Wrong exactly in one row (or column, or plane)."""
    wrong = evidence.wrong
    for axis, size, index in _axes(evidence):
        places = torch.unique(index[wrong])
        if len(places) != 1 or int((index == places[0]).sum()) < 2:
            continue
        if size > 2 and bool((wrong == (index == places[0])).all()) and _known_beside(evidence, index, places):
            place = int(places[0])
            last = " (the last)" if place == size - 1 else " (the first)" if place == 0 else ""
            where = f"only where the index of axis {axis} is {place}{last}"
            return _said(evidence, where, _whole(evidence, axis) == place, 2 * size)
    return None


def tail(evidence: Evidence) -> Cause | None:
    """Wrong from some index on, to the end of an axis: the last tile, or what is no multiple of a block."""
    wrong = evidence.wrong
    for axis, size, index in _axes(evidence):
        if not wrong.any() or wrong.all():
            continue
        first = int(index[wrong].min())
        if first and size - first > 1 and bool((wrong == (index >= first)).all()) and int(wrong.sum()) >= ENOUGH:
            if not evidence.everything and int(index[~wrong].max()) != first - 1:
                continue  # not measured up to the seam: where the tail starts is not known
            block = f"; is {size} no multiple of the block size, {first} or a divisor of it?" if size % first else ""
            where = f"only from index {first} of axis {axis} on, to its end at {size - 1}{block}"
            return _said(evidence, where, _whole(evidence, axis) >= first, 2 * size)
    return None


def border(evidence: Evidence) -> Cause | None:
    """Wrong exactly on the rim of the last one, two or three axes."""
    wrong = evidence.wrong
    rim, whole = torch.zeros_like(wrong), torch.zeros(evidence.shape, dtype=torch.bool)
    axes = [(axis, size, index) for axis, size, index in _axes(evidence) if size > 2]
    for count, (axis, size, index) in enumerate(reversed(axes[-3:]), 1):
        places = _whole(evidence, axis)
        rim, whole = (mask | (at == 0) | (at == size - 1) for mask, at in ((rim, index), (whole, places)))
        if bool((wrong == rim).all()) and min(int(rim.sum()), int((~rim).sum())) >= 2:
            last = "the last axis" if count == 1 else f"the last {count} axes"
            return _said(evidence, f"only at the border of {last}", whole, 6)
    return None


def where_negative(evidence: Evidence) -> Cause | None:
    """Wrong exactly where the tensor itself is negative, or exactly where it is positive."""
    for sign, word in ((-1, "negative"), (1, "positive")):
        there = evidence.values * sign > 0
        if min(int(there.sum()), int((~there).sum())) >= ENOUGH and bool((evidence.wrong == there).all()):
            return _said(evidence, f"only where {evidence.name} is {word}", evidence.point * sign > 0, 2)
    return None


def beyond(evidence: Evidence) -> Cause | None:
    """Wrong exactly where the tensor lies above, or below, some value, or is larger than it in size."""
    wrong, name = evidence.wrong, evidence.name
    if min(int(wrong.sum()), int((~wrong).sum())) < ENOUGH:
        return None
    for point, of in ((evidence.point, name), (evidence.point.abs(), f"|{name}|")):
        measure = point[evidence.positions.to(point.device)].double().cpu()
        bad, good = measure[wrong], measure[~wrong]
        for above, gap in ((True, (good.max(), bad.min())), (False, (bad.max(), good.min()))):
            low, high = map(float, gap)
            if low < high:
                where = (
                    f"only where {of} is {'above' if above else 'below'} some value between {low:.3g} and {high:.3g}"
                )
                place = point > low if above else point < high
                return _said(evidence, where, place, 4)
    return None


def few_elements(evidence: Evidence) -> Cause | None:
    """A handful of elements are wrong and all others right."""
    wrong = evidence.wrong.nonzero().flatten()
    measured = len(evidence.positions)
    among = evidence.numel if evidence.everything else measured
    if not 0 < len(wrong) <= max(1, among // 8) or among < 4:
        return None
    indices = ", ".join(str(evidence.named(int(i))) for i in wrong[:5])
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    of = f"{among:,}" if evidence.everything else f"{among} sampled"
    verb = "elements differ" if len(wrong) > 1 or among > 1 else "element differs"
    said = f"only {len(wrong)} of {of} {verb}, at {indices}{more}; all others agree{_relation(evidence)}"
    return Cause(said, 1.0)


def _axes(evidence: Evidence) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Number, size and the measured indices of every axis that has more than one place."""
    for axis, (size, index) in enumerate(zip(evidence.shape, evidence.grid, strict=True)):
        if size > 1:
            yield axis, size, index


def _whole(evidence: Evidence, axis: int) -> torch.Tensor:
    """The index along an axis of every element of the tensor."""
    along = [-1 if k == axis else 1 for k in range(len(evidence.shape))]
    return torch.arange(evidence.shape[axis]).reshape(along).expand(evidence.shape)


def _known_beside(evidence: Evidence, index: torch.Tensor, places: torch.Tensor) -> bool:
    """Whether right elements were seen in at least two other places of the axis."""
    return evidence.everything or len(torch.unique(index[~torch.isin(index, places)])) >= 2


def _said(evidence: Evidence, where: str, place: torch.Tensor, tried: int) -> Cause | None:
    """A place in words; `place` is a mask over the whole tensor.

    Every measured element, in the place and outside of it, agrees with it by accident half of the time at most; what
    was not measured outside of it is shown to be right by a direction that is zero in it.
    """
    count, measured = int(evidence.wrong.sum()), len(evidence.positions)
    size = int(place.sum())
    if evidence.everything and count != size:
        return None  # the wrong elements are all known, and they are not the whole place
    if not evidence.everything and not evidence.agrees(place.reshape(-1)):
        return None
    among = "" if measured == evidence.numel else f" of {measured} sampled"
    said = f"wrong {where} ({count}{among} elements), right everywhere else{_relation(evidence)}"
    right = evidence.numel - count if evidence.everything else measured - count
    return Cause(said, max(0.0, 1 - tried * 0.5 ** (min(count, 20) + min(right, 20)))) if right else None


def _relation(evidence: Evidence) -> str:
    """What the wrong elements are, where one word says it."""
    wrong = evidence.only(evidence.wrong)
    if not bool(wrong.autograd.any()):
        return "; there autograd is zero"
    value = factor(wrong.autograd, wrong.numeric)
    if value is None or wrong.cause("", value * wrong.numeric, 1) is None:
        return ""
    return f"; there autograd = {value:.6g} x numeric"
