"""Is the backward right for special cotangents: one output alone, others None or zero, one element alone, none?"""

from __future__ import annotations

import torch

from pytest_gradcheck.checks.agree import attempt, disagreements, pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects.observe import functions

#: Outputs looked at one by one.
MOST = 6


class Outputs:
    """Gives the gradient of one output only, the others None and then zero; of one element only; and zero everywhere.

    The parts must add up to the whole, and nothing must give nothing. Cost: one forward and one backward an output
    (up to six) and three more, on subjects with a custom Function.
    """

    name = "outputs"

    def run(self, context: Context) -> Outcome:
        """Findings for each special cotangent whose gradient raises, or is not its share of the whole."""
        if not functions(context.subject) or not any(context.gradients.reached) or not context.finite:
            return Outcome()
        findings = _alone(context)
        findings += _one_hot(context) if not findings else []
        findings += _nothing(context) if not findings else []
        return Outcome(findings=findings)


def _alone(context: Context) -> list[Finding]:
    count = len(context.baseline)
    if not 2 <= count <= MOST:
        return []
    leaves = [leaf.tensor for leaf in context.subject.leaves]
    total = [torch.zeros_like(leaf) for leaf in leaves]
    for k, cotangent in enumerate(context.cotangents):
        if context.deadline.passed:
            return []
        said = f"when only output {k} has a gradient and the others' is None"
        lone = [cotangent if i == k else None for i in range(count)]

        def part(lone: list[torch.Tensor | None] = lone) -> list[torch.Tensor]:
            return pull(leaves, context.subject.evaluate(), lone)

        found, raised = attempt("outputs", f"the backward raises {said}", part)
        if found is None:
            return raised
        if not all(bool(value.isfinite().all()) for value in found) and _all_finite(context):
            return [Finding("outputs", "error", f"the gradient is nan or infinite {said}")]
        zeros = [cotangent if i == k else torch.zeros_like(other) for i, other in enumerate(context.cotangents)]
        filled, raised = attempt("outputs", "the backward raises", lambda: context.subject.gradients(zeros))  # noqa: B023
        if filled is None:
            return raised
        wrong = disagreements(context, "outputs", f"{said} (None is not treated as zero)", filled.values, found)
        if wrong:
            return wrong
        total = [whole + value for whole, value in zip(total, found, strict=True)]
    said = "when one output at a time has a gradient: the parts do not add up to the whole"
    return disagreements(context, "outputs", said, context.gradients.values, total)


def _one_hot(context: Context) -> list[Finding]:
    """One element alone, and all but that: the gradients of the two add up to that of all."""
    first = next((k for k, cotangent in enumerate(context.cotangents) if cotangent.numel() > 1), None)
    if first is None or context.deadline.passed:
        return []
    hot = [torch.zeros_like(cotangent) for cotangent in context.cotangents]
    place = torch.unravel_index(context.cotangents[first].abs().argmax(), context.cotangents[first].shape)
    hot[first][place] = context.cotangents[first][place]
    rest = [cotangent - one for cotangent, one in zip(context.cotangents, hot, strict=True)]
    said = f"when the incoming gradient of output {first} is zero but for one element"
    pair, raised = attempt(
        "outputs", f"the backward raises {said}", lambda: [context.subject.gradients(v) for v in (hot, rest)]
    )
    if pair is None:
        return raised
    total = [one + other for one, other in zip(pair[0].values, pair[1].values, strict=True)]
    return disagreements(context, "outputs", said, context.gradients.values, total)


def _nothing(context: Context) -> list[Finding]:
    if context.deadline.passed:
        return []
    zeros = [torch.zeros_like(cotangent) for cotangent in context.cotangents]
    said = "when the incoming gradient is zero"
    found, raised = attempt("outputs", f"the backward raises {said}", lambda: context.subject.gradients(zeros))
    if found is None or not _all_finite(context):
        return raised
    return disagreements(context, "outputs", said, [torch.zeros_like(value) for value in found.values], found.values)


def _all_finite(context: Context) -> bool:
    return all(bool(value.isfinite().all()) for value in context.gradients.values)
