"""Is autograd's gradient the derivative of the forward? Every leaf by name, element by element or projected."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import torch

from pytest_gradcheck.checks import joint, pictures, probes
from pytest_gradcheck.checks.base import Context, Outcome, names
from pytest_gradcheck.checks.batched import possible
from pytest_gradcheck.checks.explain import explain
from pytest_gradcheck.checks.locate import descend
from pytest_gradcheck.checks.measure import Comparison, compare, verdict
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, TensorCheck, Verdict, Worst
from pytest_gradcheck.numerics.comparison import Judgement
from pytest_gradcheck.subjects.observe import backward_name, functions
from pytest_gradcheck.subjects.resolve import where
from pytest_gradcheck.subjects.subject import Leaf

#: In mode "auto" a leaf is compared element by element up to this many real numbers ...
ELEMENTS = 256
#: ... and up to this many numbers read for one sweep over its elements: elements times the size of the subject.
WORK = 4_000_000
#: Custom Functions whose place is named when a module that uses them is wrong.
SOURCES = 5
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
            outcome.findings.append(_non_finite(context))
        measured = dict(check_leaves(context, outcome.findings))
        outcome.tensors = [measured[leaf.name] for leaf in context.subject.leaves]
        if context.subject.raised:
            outcome.findings.append(_raised(context))
        if any(check.diagnosis or check.worst for check in outcome.tensors if check.verdict > Verdict.INCONCLUSIVE):
            outcome.findings += _sources(context)
        if context.without_graph:
            outcome.findings.append(_without_graph(context))
        _refuse_nothing(context, outcome.tensors)
        return outcome


def check_leaves(context: Context, findings: list[Finding]) -> Iterator[tuple[str, TensorCheck]]:
    """The verdict on every leaf of the context's subject, by name."""
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
    shape = tuple(leaf.tensor.shape)
    if not leaf.numel:
        findings.append(_empty(leaf))
        return TensorCheck(leaf.name, shape, 0.0, 0.0, Verdict.GOOD)
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
        findings.append(_precision(leaf, judgement))
    if pointed is not None and pointed.corners and wrong:
        findings.append(_outside(leaf, pointed))
    if comparison.excuses:
        findings.append(_excused(context, leaf, comparison))
    elif comparison.probes and not comparison.autograd.any() and not comparison.numeric.any():
        findings.append(_no_power(leaf))
    return TensorCheck(
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


def _worst(leaf: Leaf, comparison: Comparison | None) -> Worst | None:
    """The confirmed element with the largest difference, else that of any element that counts."""
    if comparison is None:
        return None
    candidates = sorted(comparison.confirmed) or [int(i) for i in comparison.kept()]
    if not candidates:
        return None
    i = max(candidates, key=lambda c: float(comparison.difference[c].nan_to_num(math.inf)))
    position = comparison.probes[i].position
    assert position is not None
    index = leaf.index(position)
    part = ("real", "imag")[index[-1]] if leaf.tensor.is_complex() else None
    index = index[:-1] if part else index
    return Worst(index, float(comparison.autograd[i]), float(comparison.numeric[i]), part)


def _precision(leaf: Leaf, judgement: Judgement) -> Finding:
    return Finding(
        "precision",
        "warning",
        f"{leaf.name}: the gradient is off by a proven {judgement.relative_error:.1e}, below the band but far above "
        f"float64 rounding: is the backward computed in lower precision, or approximate?",
    )


def _outside(leaf: Leaf, comparison: Comparison) -> Finding:
    i, corner = min(comparison.corners.items())
    position = comparison.probes[i].position
    where = f"{leaf.name}{list(leaf.index(position))}" if position is not None else f"a line through {leaf.name}"
    message = (
        f"{where} is a kink: slopes {corner.low:.6g} to {corner.high:.6g}; autograd's "
        f"{float(comparison.autograd[i]):.6g} lies outside of them"
    )
    return Finding("kink", "info", message)


def _excused(context: Context, leaf: Leaf, comparison: Comparison) -> Finding:
    kinds = Counter(comparison.excuses.values())
    first = comparison.probes[min(comparison.excuses)]
    where = (
        f"{leaf.name}{list(leaf.index(first.position))}"
        if first.position is not None
        else f"a line through {leaf.name}"
    )
    kind = kinds.most_common(1)[0][0]
    said = {
        "kink": "is a kink: autograd's value is a subgradient there, which is right",
        "kinks": "is a point where kinks meet: autograd's value is none of the slopes, but next to it the two agree",
        "jump": "is a jump of the function: it has no derivative there to compare with",
        "domain edge": "lies at the edge of the domain: there is no finite derivative to compare with",
    }[kind]
    count = f" (and {len(comparison.excuses) - 1} more)" if len(comparison.excuses) > 1 else ""
    if "kinks" not in kinds or context.subject.function is not None or not functions(context.subject):
        return Finding(kind.replace(" ", "-"), "info", f"{where}{count} {said}")
    # Between a module's kinks a custom Function's own wrong slope looks the same; alone it would be found.
    own = names([function.__name__ for function in functions(context.subject)])
    return Finding("kinks", "warning", f"{where}{count} {said}; check {own} alone, where one kink decides")


def _non_finite(context: Context) -> Finding:
    count = sum(int((~output.isfinite()).sum()) for output in context.baseline)
    return Finding(
        "non-finite", "warning", f"{count} output elements are nan or infinite; they were left out of the check"
    )


def _raised(context: Context) -> Finding:
    message = (
        f"{context.subject.raised}; it ran at the point of the check, so points where it raises count as off its domain"
    )
    return Finding("raised", "warning", message)


def _sources(context: Context) -> list[Finding]:
    """Where the backwards stand that take part in a subject that is no Function itself."""
    if context.subject.function is not None:
        return []
    found = [(function, where(getattr(function, backward_name(function)))) for function in functions(context.subject)]
    return [
        Finding("source", "info", f"the backward of {function.__name__} stands at {place}")
        for function, place in found[:SOURCES]
        if place
    ]


def _without_graph(context: Context) -> Finding:
    which = ", ".join(f"output{k}" for k in context.without_graph)
    return Finding("no-graph", "info", f"{which} of {context.subject.name} carries no gradient: it has no grad_fn")


def _no_power(leaf: Leaf) -> Finding:
    return Finding(
        "no-power",
        "warning",
        f"the gradient of {leaf.name} is zero, by autograd and in value: this check of it could not have failed; "
        f"choose inputs where it is not zero",
    )


def _empty(leaf: Leaf) -> Finding:
    shape = list(leaf.tensor.shape)
    return Finding(
        "no-power", "warning", f"{leaf.name} of shape {shape} is empty: this check of it could not have failed"
    )


def _refuse_nothing(context: Context, tensors: list[TensorCheck]) -> None:
    """Refuses to call a subject GOOD whose outputs do not depend on anything that is checked."""
    if any(context.gradients.reached) or any(check.relative_error != 0.0 for check in tensors):
        return
    raise UsageProblem(
        f"there is no gradient to check: no output of {context.subject.name} depends on "
        f"{', '.join(leaf.name for leaf in context.subject.leaves)}, neither by autograd nor in value"
    )
