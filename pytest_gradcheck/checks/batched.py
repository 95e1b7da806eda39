"""The cheap differences of many elements of one leaf in a few batched evaluations.

A batch is trusted only after it gave the same numbers as plain evaluations: at the point of the check, and along the
elements with the largest gradients. Under vmap a module may take another path, or read a tensor from where no
stand-in can be put.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.groups import Groups
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import generator
from pytest_gradcheck.numerics.stencil import Derivative, Line, richardson
from pytest_gradcheck.subjects.subject import Leaf, Moves, Stack

#: A method of a subject's batch.
Evaluate = Callable[[Stack], "torch.Tensor | None"]
#: Numbers that the outputs of one batch may hold: 8 MB in float64. Less costs calls, more leaves the cache.
ROOM = 1 << 20
#: Numbers that one batch of a leaf's values may hold: 32 MB. Few of them are read where rows move one element each.
VALUES = 1 << 22
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
        self._own = self._flat.clone().view(leaf.real().shape)
        #: Whether a row that moves one element may be taken for the leaf elsewhere: nothing is written into either.
        self._alike = not leaf.tensor.is_complex()

    @classmethod
    def of(cls, context: Context, leaf: Leaf) -> Rows | None:
        """Rows for a leaf; None where its subject is never evaluated in a batch."""
        if context.subject.batch is None:
            return None
        outputs = max(output.numel() for output in context.baseline)
        most = min(VALUES // max(leaf.numel, 1), ROOM // max(outputs, 1))
        return cls(context, leaf, min(leaf.numel, max(1, most // 2)))

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

    def together(self, groups: Groups, positions: list[int], step: float) -> torch.Tensor:
        """`quotients` with all elements of a group moved in one row; each is read from the outputs that it reaches.

        Raises:
            Refused: There is no batch, or an output moved that no member of its group reaches.
        """
        found = torch.full((self._flat.numel(),), float("nan"), dtype=torch.float64)
        needed = list(dict.fromkeys(groups.of[positions].tolist()))
        done: set[int] = set()
        for start in range(0, len(needed), self.length):
            if self._context.deadline.passed:
                break
            self._context.tell(f"{self._leaf.name}, group {start} of {len(needed)}")
            chosen = needed[start : start + self.length]
            members = [groups.members(group) for group in chosen]
            counts = torch.tensor([len(member) for member in members])
            rows, where = torch.arange(len(chosen)).repeat_interleave(counts), torch.cat(members)
            up, down, width = self._moved(rows, where, step, self._batch.terms)
            owners, change = groups.owners(torch.tensor(chosen)), up - down
            if not bool((change.masked_fill(owners >= 0, 0.0).sum(1).abs() <= 16 * self._context.noise).all()):
                raise Refused
            sums = torch.zeros(1 + len(found), dtype=torch.float64)
            sums.index_add_(0, owners.expand_as(change).reshape(-1) + 1, change.reshape(-1))
            found[where] = sums[1 + where] / width
            done.update(chosen)
        ready = [group in done for group in groups.of[positions].tolist()]
        return found[positions[: ready.index(False) if False in ready else None]]

    def _part(self, positions: torch.Tensor, step: float) -> torch.Tensor:
        up, down, width = self._moved(torch.arange(len(positions)), positions, step, self._batch.objectives)
        return (up - down) / width

    def _moved(
        self, rows: torch.Tensor, where: torch.Tensor, step: float, evaluate: Evaluate
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `evaluate` gives with elements moved up and down in rows of their own, and the widths of the moves.

        Args:
            rows: The row in which each element is moved, from 0; ascending, shape (n,).
            where: The elements' flat positions; shape (n,).
            step: By how much.
            evaluate: A method of the batch.
        """
        leaf, context, count = self._leaf, self._context, 1 + int(rows[-1])
        rows, where = rows.to(self._flat.device), where.to(self._flat.device)
        values = self._values[: 1 + 2 * count]
        start = self._flat[where]
        values[1 + rows, where] = start + step
        values[1 + count + rows, where] = start - step
        up, down = values[1 + rows, where], values[1 + count + rows, where]
        moves = None
        if self._alike and len(where) == count:
            by = torch.cat([start.new_zeros(1), up - start, down - start])
            moves = Moves(self._own, torch.cat([where.new_zeros(1), where, where]), by)
        shaped = values.reshape(-1, *leaf.real().shape)
        stacked = torch.view_as_complex(shaped) if leaf.tensor.is_complex() else shaped
        versions = self._values._version, self._own._version
        found = evaluate(Stack(leaf, stacked, context.baseline, context.cotangents, moves))
        context.subject.calls += 0 if found is None else len(stacked)
        written = versions != (self._values._version, self._own._version)
        if written:
            self._values.copy_(self._flat.expand_as(self._values))
            self._own.copy_(self._flat.view_as(self._own))
        values[1 + rows, where] = start
        values[1 + count + rows, where] = start
        # The noise of both evaluations, with room for vmap's other order of summation.
        same = found is not None and abs(float(found[0].sum())) <= 16 * context.noise
        if moves is not None and (written or not same):
            self._alike = False
            return self._moved(rows, where, step, evaluate)
        if found is None or not same:
            raise Refused
        found = found.double().cpu()
        return found[1 : 1 + count], found[1 + count :], (up - down).double().cpu()


def _many(context: Context, leaf: Leaf, rows: Rows, positions: list[int]) -> list[Derivative]:
    noise, step = context.noise, context.step
    source = generator(context.settings.seed, "bars", leaf.name, leaf.kind)
    drawn = torch.randperm(len(positions), generator=source)[:SAMPLE].tolist()
    sample = rows.extrapolated([positions[i] for i in drawn])
    if not sample:
        return []
    # Along an element the quotient's own truncation is |R - C(eps)|, four times that of R's claim.
    truncation = max(4 * (found.bar - 3 * noise / step) for found in sample)
    bar = truncation + 3 * noise / step
    quotients = _grouped(
        context, leaf, rows, positions, {i: one.value for i, one in zip(drawn, sample, strict=False)}, bar
    )
    if quotients is None:
        quotients = rows.quotients(positions, step)
    claims = _claims(context, leaf, positions[: len(quotients)])
    found = [_known(value, bar, step) for value in quotients.tolist()]
    apart = (~((quotients - claims).abs() <= bar)).nonzero().flatten().tolist()
    closer = rows.extrapolated([positions[i] for i in apart])
    for i, better in zip(apart, closer, strict=False):
        found[i] = better
    return found


def _grouped(
    context: Context, leaf: Leaf, rows: Rows, positions: list[int], singles: dict[int, float], bar: float
) -> torch.Tensor | None:
    """Quotients of elements moved many at once; None where that is impossible, or contradicts single moves."""
    groups = Groups.measured(context, leaf)
    if groups is None:
        return None
    try:
        found = rows.together(groups, positions, context.step)
    except Refused:
        return None
    apart = [abs(float(found[i]) - value) for i, value in singles.items() if i < len(found)]
    return found if all(gap <= bar for gap in apart) else None


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
