"""What a check measured, as plain data for pictures: elements that were compared, sweeps where they are asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from pytest_gradcheck.checks import probes
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.checks.measure import Comparison
from pytest_gradcheck.model import TensorCheck, Verdict
from pytest_gradcheck.model.evidence import KEPT, KEPT_GOOD, Elements, Sweep
from pytest_gradcheck.numerics import stencil
from pytest_gradcheck.numerics.directions import generator, inner, signed
from pytest_gradcheck.numerics.stencil import Line
from pytest_gradcheck.subjects.subject import Leaf

#: Tensors of one check that get a sweep of their own.
TENSORS = 4
#: Subjects that read more numbers than this get none: a sweep costs some seventy forwards.
LARGEST = 1_000_000


def elements(comparison: Comparison | None, verdict: Verdict) -> Elements | None:
    """The elements of a tensor that were compared one by one; fewer where they only show that all is well."""
    kept: list[int] = [] if comparison is None else comparison.kept().tolist()
    if comparison is None or not kept or comparison.probes[kept[0]].position is None:
        return None
    places = [comparison.probes[i].position or 0 for i in kept]
    most = KEPT_GOOD if verdict is Verdict.GOOD else KEPT
    autograd, numeric, bars = (
        column[kept].tolist() for column in (comparison.autograd, comparison.numeric, comparison.bars)
    )
    return Elements.of(places, autograd, numeric, bars, most)


def with_sweeps(context: Context, outcome: Outcome) -> tuple[list[TensorCheck], Sweep | None]:
    """The verdicts with a sweep through the worst element of each that is wrong, and a sweep through all tensors."""
    checks = outcome.tensors
    without = any(finding.kind == "backward-raised" for finding in outcome.findings)
    if without or context.subject.size > LARGEST or not context.finite:
        return checks, None
    leaves = {leaf.name: leaf for leaf in context.subject.leaves}
    bad = [check.name for check in checks if check.verdict > Verdict.INCONCLUSIVE and check.worst][:TENSORS]
    found = [
        replace(check, sweep=_through(context, leaves[check.name], check)) if check.name in bad else check
        for check in checks
    ]
    return found, None if context.deadline.passed else _joint(context)


def _through(context: Context, leaf: Leaf, check: TensorCheck) -> Sweep | None:
    """Through the worst element of one tensor."""
    assert check.worst is not None
    if context.deadline.passed:
        return None
    gradient = context.gradients.values[context.subject.leaves.index(leaf)]
    probe = probes.elements(leaf, gradient, [_position(leaf, check)])[0]
    part = f".{check.worst.part}" if check.worst.part else ""
    with probe.line(context) as line:
        return _sweep(line, f"{check.name}{list(check.worst.index) or ''}{part}", probe.autograd, context.noise)


def _joint(context: Context) -> Sweep:
    """Along one random direction that moves every tensor."""
    seed = context.settings.seed
    tangents = {
        leaf: signed(leaf.tensor, generator(seed, "picture", leaf.name, leaf.kind)) for leaf in context.subject.leaves
    }
    gradients = zip(context.subject.leaves, context.gradients.values, strict=True)
    claimed = sum(inner(gradient, tangents[leaf]) for leaf, gradient in gradients)
    with context.subject.along(tangents, context.objective) as line:
        return _sweep(line, "a random direction through all tensors", claimed, context.noise)


def _sweep(line: Line, where: str, autograd: float, noise: float) -> Sweep:
    once = cache(line)
    best = stencil.sweep(once, noise)
    ladder = stencil.ladder(once)
    return Sweep(where, autograd, best.value, best.bar, best.step, noise, tuple(ladder.steps), tuple(ladder.second))


def _position(leaf: Leaf, check: TensorCheck) -> int:
    """The flat position, in real numbers, of the worst element."""
    assert check.worst is not None
    index = (*check.worst.index, *([("real", "imag").index(check.worst.part)] if check.worst.part else []))
    position = 0
    for place, size in zip(index, leaf.real().shape, strict=True):
        position = position * size + place
    return position
