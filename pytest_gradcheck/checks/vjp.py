"""Is autograd's gradient the derivative of the forward? Every leaf by name, element by element or projected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch

from pytest_gradcheck.checks import joint, notes, pictures, probes, small
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.checks.batched import possible
from pytest_gradcheck.checks.explain import explain
from pytest_gradcheck.checks.locate import descend
from pytest_gradcheck.checks.measure import CORNERS, Comparison, compare, verdict
from pytest_gradcheck.checks.nearby import nearby
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, TensorCheck, Verdict, Worst
from pytest_gradcheck.numerics.comparison import Judgement
from pytest_gradcheck.subjects.subject import Leaf

#: In mode "auto" a leaf is compared element by element up to this many real numbers ...
ELEMENTS = 256
#: ... and up to this many numbers read for one sweep over its elements: elements times the size of the subject.
WORK = 4_000_000
#: ... and, where no batch of evaluations is possible and each costs four calls, up to this much of the same product.
ALONE = 100_000
#: Where the function is too noisy for two steps every probe costs a sweep, and fewer are affordable.
ROUGH_ELEMENTS = 64


class Vjp:
    """The number of record: `||numeric - autograd|| / (||numeric|| + ||autograd||)` for every leaf."""

    name = "vjp"

    def run(self, context: Context) -> Outcome:
        """Checks every leaf; with a budget, first by projections, which decide cheaply."""
        outcome = Outcome()
        if not context.finite:
            outcome.findings.append(notes.non_finite(context))
        measured = dict(check_leaves(context, outcome.findings))
        outcome.tensors = [measured[leaf.name] for leaf in context.subject.leaves]
        if context.subject.raised:
            outcome.findings.append(notes.raised(context))
        if any(check.diagnosis or check.worst for check in outcome.tensors if check.verdict > Verdict.INCONCLUSIVE):
            outcome.findings += notes.sources(context)
        if context.without_graph:
            outcome.findings.append(notes.without_graph(context))
        _refuse_nothing(context, outcome.tensors)
        return outcome


def check_leaves(context: Context, findings: list[Finding]) -> Iterator[tuple[str, TensorCheck]]:
    """The verdict on every leaf of the context's subject, by name."""
    if not context.finite and not any(bool(cotangent.any()) for cotangent in context.cotangents):
        for leaf in context.subject.leaves:
            yield leaf.name, _unseen(leaf)
        return
    pairs = list(zip(context.subject.leaves, context.gradients.values, context.gradients.reached, strict=True))
    wanted = {leaf: _elementwise(context, leaf) for leaf, _, _ in pairs}
    # With a budget the cheapest decisive look at everything comes first; elements follow while there is time.
    hurried = context.settings.budget is not None
    certified = joint.certified(context, [leaf for leaf, _, _ in pairs if hurried or not wanted[leaf]])
    yield from certified.items()
    for leaf, gradient, reached in pairs if hurried else []:
        if leaf.name not in certified:
            yield leaf.name, _check(context, leaf, gradient, reached, False, findings)
    whole = context.deadline
    # Single elements get half of what is left of a budget: the further checks are cheaper and decide more.
    context.deadline = whole.half() if hurried else whole
    for leaf, gradient, reached in pairs:
        if leaf.name in certified and not wanted[leaf]:
            continue
        if not hurried or (wanted[leaf] and not context.deadline.passed):
            yield leaf.name, _check(context, leaf, gradient, reached, wanted[leaf], findings)
    context.deadline = whole


def _unseen(leaf: Leaf) -> TensorCheck:
    """The verdict where no element of the outputs is finite: both gradients of nothing are zero, and say nothing."""
    shape, unknown = tuple(leaf.tensor.shape), Verdict.INCONCLUSIVE
    return TensorCheck(leaf.name, shape, math.nan, math.inf, unknown, coverage=0.0, reason="domain edge")


def _elementwise(context: Context, leaf: Leaf) -> bool:
    mode = context.settings.mode
    if mode in ("elementwise", "projection"):
        return mode == "elementwise"
    most = ROUGH_ELEMENTS if context.rough else ELEMENTS
    if leaf.numel > most or leaf.numel * max(context.subject.size, 1) > WORK:
        return False
    return context.rough or leaf.numel * context.subject.size <= ALONE or possible(context, leaf)


def _check(
    context: Context, leaf: Leaf, gradient: torch.Tensor, reached: bool, elementwise: bool, findings: list[Finding]
) -> TensorCheck:
    check, excuses = _alone(context, leaf, gradient, reached, elementwise, findings)
    # Single elements were told from their neighbours' corners; along a line only the point beside it can do that.
    if not excuses & CORNERS or (elementwise and (check.verdict is Verdict.WRONG or check.proven)):
        return check
    beside, said = _beside(context, leaf)
    if beside is not None and beside.proven and beside.verdict > Verdict.GOOD:
        findings += [notes.hidden(leaf, excuses), *said]
        return beside
    if beside is not None and check.reason == "kink":
        return beside
    return check


def _beside(context: Context, leaf: Leaf) -> tuple[TensorCheck | None, list[Finding]]:
    """The verdict on a leaf by projections at a nearby point; None where the forward refuses it."""
    which, said = context.subject.leaves.index(leaf), list[Finding]()
    try:
        with nearby(context) as there:
            gradients = there.gradients
            moved, reached = there.subject.leaves[which], gradients.reached[which]
            return _alone(there, moved, gradients.values[which], reached, False, said)[0], said
    except UsageProblem:
        return None, []


def _alone(
    context: Context, leaf: Leaf, gradient: torch.Tensor, reached: bool, elementwise: bool, findings: list[Finding]
) -> tuple[TensorCheck, set[str]]:
    """The verdict on a leaf at the context's own point, and why some of it had no derivative to compare with."""
    shape = tuple(leaf.tensor.shape)
    if not leaf.numel:
        findings.append(notes.empty(leaf))
        return TensorCheck(leaf.name, shape, 0.0, 0.0, Verdict.GOOD), set()
    if elementwise:
        lines = probes.elements(leaf, gradient, range(leaf.numel))
    else:
        lines = probes.tangents(leaf, gradient, context.settings.seed)
    comparison = compare(context, lines)
    judgement = verdict(context, comparison)
    if not comparison.probes:
        judgement = Judgement(math.nan, math.inf, Verdict.INCONCLUSIVE, False, "budget")
    wrong = judgement.verdict is Verdict.WRONG or (judgement.proven and judgement.verdict is Verdict.SUSPICIOUS)
    pointed, cause = comparison if elementwise else None, None
    if judgement.imprecise and not elementwise:
        # A difference this small may be one wrong element among thousands that are right.
        found = verdict(context, compare(context, probes.elements(leaf, gradient, [descend(context, comparison)])))
        if found.proven and found.verdict > judgement.verdict:
            judgement, wrong = replace(judgement, verdict=found.verdict), True
    if wrong and comparison.probes:
        pointed, cause = explain(context, leaf, reached, comparison)
        alone = verdict(context, pointed)
        if alone.proven and alone.verdict > judgement.verdict:
            judgement = replace(judgement, verdict=alone.verdict)
    if judgement.imprecise:
        findings.append(notes.precision(leaf, judgement))
    if pointed is not None and pointed.corners and wrong:
        findings.append(notes.outside(pointed))
    hidden = small.undecided(context, comparison) if elementwise and not wrong else []
    if hidden:
        findings.append(small.note(leaf, comparison, hidden))
    if comparison.excuses:
        findings.append(notes.excused(context, comparison))
    elif comparison.probes and not comparison.autograd.any() and not comparison.numeric.any():
        findings.append(notes.no_power(leaf))
    check = TensorCheck(
        name=leaf.name,
        shape=shape,
        relative_error=judgement.relative_error,
        error_bar=judgement.error_bar,
        verdict=judgement.verdict,
        worst=_worst(leaf, pointed),
        coverage=len(comparison.probes) / leaf.numel if elementwise else 0.0,
        diagnosis=cause.said if cause else None,
        confidence=cause.confidence if cause else None,
        proven=judgement.proven,
        reason=judgement.reason,
        elements=pictures.elements(pointed, judgement.verdict),
    )
    return check, set(comparison.excuses.values())


def _worst(leaf: Leaf, comparison: Comparison | None) -> Worst | None:
    """The confirmed element with the largest difference, else that of any element that counts."""
    if comparison is None:
        return None
    candidates = sorted(comparison.confirmed) or comparison.kept().tolist()
    if not candidates:
        return None
    gaps = comparison.difference.nan_to_num(math.inf).tolist()
    i = max(candidates, key=gaps.__getitem__)
    position = comparison.probes[i].position
    assert position is not None
    index = leaf.index(position)
    part = ("real", "imag")[index[-1]] if leaf.tensor.is_complex() else None
    index = index[:-1] if part else index
    return Worst(index, float(comparison.autograd[i]), float(comparison.numeric[i]), part)


def _refuse_nothing(context: Context, tensors: list[TensorCheck]) -> None:
    """Refuses to call a subject GOOD whose outputs do not depend on anything that is checked."""
    if any(context.gradients.reached) or any(check.relative_error != 0.0 for check in tensors):
        return
    raise UsageProblem(
        f"there is no gradient to check: no output of {context.subject.name} depends on "
        f"{', '.join(leaf.name for leaf in context.subject.leaves)}, neither by autograd nor in value"
    )
