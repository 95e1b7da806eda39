"""The cheap differences of many elements of one leaf in a few batched evaluations."""

from __future__ import annotations

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.numerics.stencil import Derivative
from pytest_gradcheck.subjects.subject import Leaf

#: Numbers that one batch may hold: 32 MB in float64, times what the forward makes of them.
ROOM = 1 << 22
#: Fewer elements than this are not worth a batch: one vmapped call costs as much as some ten plain ones.
WORTH = 8


def estimate(context: Context, leaf: Leaf, positions: list[int]) -> list[Derivative] | None:
    """`richardson` at the context's step for every position, or None where a batch is impossible or disagrees.

    A first row at the point of the check itself shows whether the batched forward computes the same function: under
    vmap a module may take another path.
    """
    batch = context.subject.batch
    if batch is None or len(positions) < WORTH or context.settings.mode == "central" or context.rough:
        return None
    length = max(1, ROOM // max(context.subject.size, leaf.numel, 1) // 4)
    found: list[Derivative] = []
    for start in range(0, len(positions), length):
        if context.deadline.passed:
            break
        part = _part(context, leaf, positions[start : start + length])
        if part is None:
            return None
        found += part
    return found


def _part(context: Context, leaf: Leaf, positions: list[int]) -> list[Derivative] | None:
    assert context.subject.batch is not None
    step = context.step
    steps = (0.0, step, -step, step / 2, -step / 2)
    origin = leaf.origin.contiguous()
    count, flat = len(positions), leaf.real(origin).reshape(-1)
    values = flat.repeat(1 + 4 * count, 1)
    rows = torch.arange(count)
    where = torch.tensor(positions, device=flat.device)
    for k, moved in enumerate(steps[1:]):
        values[1 + k * count + rows, where] += moved
    displaced = [(values[1 + k * count + rows, where] - flat[where]).double().cpu() for k in range(4)]
    shaped = values.reshape(-1, *leaf.real(origin).shape)
    stacked = torch.view_as_complex(shaped) if leaf.tensor.is_complex() else shaped
    context.subject.calls += len(stacked)
    found = context.subject.batch.objectives(leaf, stacked, context.baseline, context.cotangents)
    if found is None:
        return None
    found = found.cpu()
    # The noise of both evaluations, with room for vmap's other order of summation.
    if not abs(float(found[0])) <= 16 * context.noise:
        return None
    up, down, half_up, half_down = (found[1 + k * count : 1 + (k + 1) * count] for k in range(4))
    coarse = (up - down) / (displaced[0] - displaced[1])
    fine = (half_up - half_down) / (displaced[2] - displaced[3])
    best = (4 * fine - coarse) / 3
    bars = (best - fine).abs() + 3 * context.noise / step
    known = best.isfinite()
    return [
        Derivative(float(value), float(bar), step) if ok else Derivative(float("nan"), float("inf"))
        for value, bar, ok in zip(best, bars, known, strict=True)
    ]
