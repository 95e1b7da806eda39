"""The cheap differences of many elements of one leaf in a few batched evaluations.

A batch is trusted only after it gave the same numbers as plain evaluations: at the point of the check, and along the
elements with the largest gradients. Under vmap a module may take another path, or read a tensor from where no
stand-in can be put.
"""

from __future__ import annotations

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import generator
from pytest_gradcheck.numerics.stencil import Derivative, Line, richardson
from pytest_gradcheck.subjects.subject import Leaf

#: Numbers that one batch of a leaf's values may hold: 4 MB in float64, which stay in the cache while they are used.
ROOM = 1 << 19
#: Fewer elements than this are not worth a batch: one vmapped call costs as much as some ten plain ones.
WORTH = 8
#: Elements whose bars are measured; where there are many times more, these speak for the others.
SAMPLE = 16
#: Elements that are measured in a batch and by themselves.
TRIALS = 2


def estimate(context: Context, leaf: Leaf, positions: list[int]) -> list[Derivative] | None:
    """A derivative for every position, until the budget ends; None where a batch is impossible or disagrees.

    Few elements get `richardson` at the context's step. Many get the central quotient alone, with the largest bar of a
    random sample; those that differ from autograd by more than that get `richardson` after all.
    """
    if len(positions) < WORTH or context.settings.mode == "central" or context.rough:
        return None
    rows = Rows.of(context, leaf)
    if rows is None:
        return None
    try:
        few = len(positions) <= 4 * SAMPLE
        found = rows.extrapolated(positions) if few else _many(context, leaf, rows, positions)
        return found if _true(context, leaf, positions, found) else None
    except Refused:
        return None


def possible(context: Context, leaf: Leaf) -> bool:
    """Whether a batch of evaluations is possible: two rows of the first leaf that asks show it for all."""
    if context.batches is None:
        rows = Rows.of(context, leaf)
        try:
            context.batches = rows is not None and len(rows.quotients([0], context.step)) == 1
        except Refused:
            context.batches = False
    return context.batches


class Refused(Exception):
    """The subject cannot be evaluated in a batch, or computes something else there."""


class Rows:
    """A stack of copies of a leaf's values, of which each row is moved in one element."""

    def __init__(self, context: Context, leaf: Leaf, length: int) -> None:
        assert context.subject.batch is not None
        self._context, self._leaf, self._batch = context, leaf, context.subject.batch
        self._flat = leaf.real(leaf.tensor).contiguous().reshape(-1).clone()
        self.length = length
        self._values = self._flat.repeat(1 + 2 * length, 1)

    @classmethod
    def of(cls, context: Context, leaf: Leaf) -> Rows | None:
        """Rows for a leaf; None where its subject is never evaluated in a batch."""
        if context.subject.batch is None:
            return None
        size = max(leaf.numel, *(output.numel() for output in context.baseline), 1)
        return cls(context, leaf, min(leaf.numel, max(1, ROOM // size // 2)))

    def quotients(self, positions: list[int], step: float) -> torch.Tensor:
        """Central quotients along single elements; float64, shape (n,), fewer where the budget ends.

        Raises:
            Refused: There is no batch.
        """
        found = [torch.empty(0, dtype=torch.float64)]
        for start in range(0, len(positions), self.length):
            if self._context.deadline.passed:
                break
            self._context.tell(f"{self._leaf.name}, element {start} of {len(positions)}")
            found.append(self._part(torch.tensor(positions[start : start + self.length]), step))
        return torch.cat(found)

    def extrapolated(self, positions: list[int]) -> list[Derivative]:
        """`richardson` along single elements, fewer where the budget ends.

        Raises:
            Refused: There is no batch.
        """
        step, noise = self._context.step, self._context.noise
        coarse = self.quotients(positions, step)
        fine = self.quotients(positions[: len(coarse)], step / 2)
        best = (4 * fine - coarse[: len(fine)]) / 3
        bars = (best - fine).abs() + 3 * noise / step
        return [_known(value, bar, step) for value, bar in zip(best.tolist(), bars.tolist(), strict=True)]

    def _part(self, positions: torch.Tensor, step: float) -> torch.Tensor:
        leaf, context, count = self._leaf, self._context, len(positions)
        where = positions.to(self._flat.device)
        values, rows = self._values[: 1 + 2 * count], torch.arange(count, device=where.device)
        start = self._flat[where]
        values[1 + rows, where] = start + step
        values[1 + count + rows, where] = start - step
        width = (values[1 + rows, where] - values[1 + count + rows, where]).double().cpu()
        shaped = values.reshape(-1, *leaf.real().shape)
        stacked = torch.view_as_complex(shaped) if leaf.tensor.is_complex() else shaped
        version = self._values._version
        context.subject.calls += len(stacked)
        found = self._batch.objectives(leaf, stacked, context.baseline, context.cotangents)
        if self._values._version != version:
            self._values.copy_(self._flat.expand_as(self._values))  # the forward wrote into its argument
        values[1 + rows, where] = start
        values[1 + count + rows, where] = start
        # The noise of both evaluations, with room for vmap's other order of summation.
        if found is None or not abs(float(found[0])) <= 16 * context.noise:
            raise Refused
        found = found.double().cpu()
        return (found[1 : 1 + count] - found[1 + count :]) / width


def _many(context: Context, leaf: Leaf, rows: Rows, positions: list[int]) -> list[Derivative]:
    noise, step = context.noise, context.step
    source = generator(context.settings.seed, "bars", leaf.name, leaf.kind)
    drawn = torch.randperm(len(positions), generator=source)[:SAMPLE].tolist()
    sample = rows.extrapolated([positions[i] for i in drawn])
    quotients = rows.quotients(positions, step)
    if not sample or not len(quotients):
        return []
    # Along an element the quotient's own truncation is |R - C(eps)|, four times that of R's claim.
    truncation = max(4 * (found.bar - 3 * noise / step) for found in sample)
    bar = truncation + 3 * noise / step
    claims = _claims(context, leaf, positions[: len(quotients)])
    found = [_known(value, bar, step) for value in quotients.tolist()]
    apart = (~((quotients - claims).abs() <= bar)).nonzero().flatten().tolist()
    closer = rows.extrapolated([positions[i] for i in apart])
    for i, better in zip(apart, closer, strict=False):
        found[i] = better
    return found


def _true(context: Context, leaf: Leaf, positions: list[int], found: list[Derivative]) -> bool:
    """Whether plain evaluations along the elements with the largest gradients give what the batch gave."""
    sizes = _claims(context, leaf, positions[: len(found)]).abs().nan_to_num(0.0)
    for i in sizes.topk(min(TRIALS, len(found))).indices.tolist():
        with context.subject.along_element(leaf, positions[i], context.objective) as line:
            plain = _plain(context, line)
        if abs(plain.value - found[i].value) > PROOF * (plain.bar + found[i].bar):
            return False
    return True


def _plain(context: Context, line: Line) -> Derivative:
    return richardson(line, context.step, context.noise)


def _claims(context: Context, leaf: Leaf, positions: list[int]) -> torch.Tensor:
    gradient = context.gradients.values[context.subject.leaves.index(leaf)]
    return leaf.real(gradient).reshape(-1)[positions].double().cpu()


def _known(value: float, bar: float, step: float) -> Derivative:
    return Derivative(value, bar, step) if value - value == 0.0 else Derivative(float("nan"), float("inf"))
