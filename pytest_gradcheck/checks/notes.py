"""What is said of a leaf, or of the subject, beside the numbers: one finding a function."""

from __future__ import annotations

from collections import Counter

from pytest_gradcheck.checks.base import Context, names
from pytest_gradcheck.checks.measure import Comparison
from pytest_gradcheck.checks.nearby import JITTER
from pytest_gradcheck.checks.probes import Probe
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.comparison import Judgement
from pytest_gradcheck.subjects.observe import backward_name, functions
from pytest_gradcheck.subjects.resolve import where
from pytest_gradcheck.subjects.subject import Leaf

#: Custom Functions whose place is named when a module that uses them is wrong.
SOURCES = 5


def precision(leaf: Leaf, judgement: Judgement) -> Finding:
    """A proven difference below the lower band."""
    return Finding(
        "precision",
        "warning",
        f"{leaf.name}: the gradient is off by a proven {judgement.relative_error:.1e}, below the band but far above "
        f"float64 rounding: is the backward computed in lower precision, or approximate?",
    )


def outside(comparison: Comparison) -> Finding:
    """A kink that autograd's value is no slope of."""
    i, corner = min(comparison.corners.items())
    message = (
        f"{_place(comparison.probes[i])} is a kink: slopes {corner.low:.6g} to {corner.high:.6g}; autograd's "
        f"{float(comparison.autograd[i]):.6g} lies outside of them"
    )
    return Finding("kink", "info", message)


def _place(probe: Probe) -> str:
    if probe.position is None:
        return f"a line through {probe.leaf.name}"
    return f"{probe.leaf.name}{list(probe.leaf.index(probe.position))}"


def hidden(leaf: Leaf, excuses: set[str]) -> Finding:
    """A fault that kinks, jumps or the edge of the domain at the point of the check hid."""
    if excuses == {"domain edge"}:
        kind, cover, there = "domain-edge", "the edge of the domain at the point of the check leaves", "which is inside"
    else:
        kind, cover, there = "kink", "kinks at the point of the check leave", "where there are none"
    return Finding(
        kind,
        "info",
        f"{leaf.name}: {cover} room for a fault; the values shown were measured with every number moved by about "
        f"{JITTER}, {there}",
    )


def excused(context: Context, comparison: Comparison) -> Finding:
    """Probes that had no derivative to compare with."""
    kinds = Counter(comparison.excuses.values())
    first = comparison.probes[min(comparison.excuses)]
    kind = kinds.most_common(1)[0][0]
    said = {
        "kink": "is a kink: autograd's value is a subgradient there, which is right"
        if first.position is not None
        else "passes through kinks: autograd's value lies between the slopes on both sides",
        "kinks": "is a point where kinks meet: autograd's value is none of the slopes, but next to it the two agree",
        "jump": "is a jump of the function: it has no derivative there to compare with",
        "domain edge": "lies at the edge of the domain: there is no finite derivative to compare with",
    }[kind]
    place = _place(first) + (f" (and {len(comparison.excuses) - 1} more)" if len(comparison.excuses) > 1 else "")
    if "kinks" not in kinds or context.subject.function is not None or not functions(context.subject):
        return Finding(kind.replace(" ", "-"), "info", f"{place} {said}")
    # Between a module's kinks a custom Function's own wrong slope looks the same; alone it would be found.
    own = names([function.__name__ for function in functions(context.subject)])
    return Finding("kinks", "warning", f"{place} {said}; check {own} alone, where one kink decides")


def non_finite(context: Context) -> Finding:
    """Outputs that were left out."""
    flawed = {f"output{k}": ~output.isfinite() for k, output in enumerate(context.baseline)}
    count, size = sum(int(flags.sum()) for flags in flawed.values()), sum(flags.numel() for flags in flawed.values())
    name, flags = next(entry for entry in flawed.items() if entry[1].any())
    first = f"{name}{flags.nonzero()[0].tolist() or ''}"
    return Finding(
        "non-finite",
        "warning",
        f"{count} of {size} output elements {'is' if count == 1 else 'are'} nan or infinite, {first} first; what is "
        f"not finite was left out of the check",
    )


def raised(context: Context) -> Finding:
    """The forward raised at points of the check."""
    message = (
        f"{context.subject.raised}; it ran at the point of the check, so points where it raises count as off its domain"
    )
    return Finding("raised", "warning", message)


def sources(context: Context) -> list[Finding]:
    """Where the backwards stand that take part in a subject that is no Function itself."""
    if context.subject.function is not None:
        return []
    found = [(function, where(getattr(function, backward_name(function)))) for function in functions(context.subject)]
    return [
        Finding("source", "info", f"the backward of {function.__name__} stands at {place}")
        for function, place in found[:SOURCES]
        if place
    ]


def without_graph(context: Context) -> Finding:
    """Outputs that carry no gradient."""
    which = ", ".join(f"output{k}" for k in context.without_graph)
    return Finding("no-graph", "info", f"{which} of {context.subject.name} carries no gradient: it has no grad_fn")


def no_power(leaf: Leaf) -> Finding:
    """A gradient of zero, both ways."""
    return Finding(
        "no-power",
        "warning",
        f"the gradient of {leaf.name} is zero, by autograd and in value: this check of it could not have failed; "
        f"choose inputs where it is not zero, or leave it out by wrt where the forward does not use it",
    )


def empty(leaf: Leaf) -> Finding:
    """A tensor without elements."""
    shape = list(leaf.tensor.shape)
    return Finding(
        "no-power", "warning", f"{leaf.name} of shape {shape} is empty: this check of it could not have failed"
    )
