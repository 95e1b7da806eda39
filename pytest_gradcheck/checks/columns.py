"""Columns of the Jacobian at a few elements: how every output element depends on them."""

from __future__ import annotations

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.diagnosis import Columns, Evidence
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.subjects.subject import Leaf

#: Elements whose columns are measured: most of them wrong ones, some right ones to compare with.
WRONG, RIGHT = 24, 12
#: Numbers that the columns may hold: 64 MB.
ROOM = 1 << 23
#: Relative distance within which a column must reproduce the derivative of the objective that it is part of.
SAME = 1e-6


def columns(context: Context, leaf: Leaf, evidence: Evidence) -> Columns | None:
    """The columns at some of the measured elements, or None where they are too large or contradict the measurement.

    Cost: four forwards an element, at most 36 elements.
    """
    wrong = evidence.wrong
    chosen = torch.cat([_spread(wrong, WRONG), _spread(~wrong, RIGHT)])
    numbers = sum(output.numel() * (2 if output.is_complex() else 1) for output in context.baseline)
    chosen = chosen[: max(0, ROOM // max(1, numbers))]
    if not len(chosen) or context.rough or context.deadline.passed or context.settings.mode == "central":
        return None
    try:
        measured = [_column(context, leaf, int(evidence.positions[i])) for i in chosen]
    except UsageProblem:
        return None  # off the forward's domain
    outputs = [torch.stack(parts) for parts in zip(*measured, strict=True)]
    found = Columns(chosen, outputs, [_real(v) for v in context.cotangents])
    numeric, bars = evidence.numeric[chosen], evidence.bars[chosen]
    gap = (found.pulled(found.cotangents) - numeric).abs()
    # At a kink the numeric value is not the central quotient's, and the columns would explain something else.
    return found if bool((gap <= 3 * bars + SAME * numeric.abs()).all()) else None


def _spread(mask: torch.Tensor, most: int) -> torch.Tensor:
    """Places where the mask is set: all, or some from its first to its last."""
    places = mask.nonzero().flatten()
    if len(places) <= most:
        return places
    return places[torch.linspace(0, len(places) - 1, most).round().long()]


def _column(context: Context, leaf: Leaf, position: int) -> list[torch.Tensor]:
    """The derivative of every output by one element, of order four in the step."""
    step = context.step
    with context.subject.along_element(leaf, position, lambda: 0.0) as line:
        values, moved = [], []
        for by in (step, -step, step / 2, -step / 2):
            moved.append(line(by)[1])
            values.append([_real(output.detach()) for output in context.subject.evaluate()])
    found = []
    for up, down, half_up, half_down in zip(*values, strict=True):
        coarse, fine = (up - down) / (moved[0] - moved[1]), (half_up - half_down) / (moved[2] - moved[3])
        found.append((4 * fine - coarse) / 3)
    return found


def _real(tensor: torch.Tensor) -> torch.Tensor:
    tensor = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return tensor.double().cpu()
