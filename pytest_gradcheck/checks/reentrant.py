"""Does each backward belong to its own forward? Two forwards, then two backwards; and one backward twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from pytest_gradcheck.checks.agree import attempt, disagreements, explained, pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects.observe import FunctionClass, Watch, watched

#: What the second point's values are multiplied with, beside being shuffled: no value stays, and none leaves a domain
#: such as the positive numbers or the probabilities.
SHRINK = 0.95
STATE = "is there state in a global, a class attribute or a closure?"


class Reentrant:
    """Runs the forward at two points before either backward, in both orders, and one backward twice.

    State in a global, a class attribute or a closure, and random numbers drawn again in backward, do not survive that.
    Weight sharing, siamese networks and gradient accumulation rely on it. Cost: 6 forwards and 7 backwards, on custom
    Functions.
    """

    name = "reentrant"

    def run(self, context: Context) -> Outcome:
        """Compares the gradients with those of one forward and one backward at a time."""
        if context.subject.function is None or not any(context.gradients.reached):
            return Outcome()
        findings = _two_points(context, context.subject.function)
        if not context.deadline.passed:
            findings += _twice(context)
        return Outcome(findings=findings)


def _two_points(context: Context, function: FunctionClass) -> list[Finding]:
    subject, v = context.subject, context.cotangents
    leaves = [leaf.tensor for leaf in subject.leaves]

    def there() -> list[torch.Tensor]:
        with _shuffled(context), watched(_Stirred(), function):
            return subject.evaluate()

    try:
        outputs = there()
        if [output.shape for output in outputs] != [output.shape for output in context.baseline]:
            return []
        expected = pull(leaves, outputs, v)
    except Exception:  # noqa: BLE001  the second point may lie outside of the domain, which is nobody's fault
        return []
    findings = []
    for said, first in (("after another forward and its backward", 1), ("after another forward", 0)):
        said = f"when its backward runs {said}"

        def both(first: int = first) -> list[list[torch.Tensor]]:
            pair = [subject.evaluate(), there()]
            found: list[list[torch.Tensor]] = [[], []]
            for k in (first, 1 - first):
                found[k] = pull(leaves, pair[k], v)
            return found

        found, raised = attempt("reentrant", f"the backward raises {said}", both)
        findings += raised
        if found is not None:
            wrong = disagreements(context, "reentrant", said, context.gradients.values, found[0], hint=STATE)
            findings += wrong or disagreements(context, "reentrant", said, expected, found[1], hint=STATE)
        if findings:
            break  # the other order would say the same again
    return findings


def _twice(context: Context) -> list[Finding]:
    leaves = [leaf.tensor for leaf in context.subject.leaves]
    outputs = context.subject.evaluate()
    pull(leaves, outputs, context.cotangents, retain=True)
    try:
        again = pull(leaves, outputs, context.cotangents)
    except Exception as error:  # noqa: BLE001  a custom backward may raise anything, and that is a result
        message = f"the backward cannot run twice (retain_graph=True): {explained(error)}"
        return [Finding("reentrant", "warning", message)]
    said, hint = "in the second of two backward passes (retain_graph=True)", "does backward change what forward saved?"
    return disagreements(context, "reentrant", said, context.gradients.values, again, hint=hint)


@contextmanager
def _shuffled(context: Context) -> Iterator[None]:
    """The inputs at another point: every value moves one place on, so signs, masks and maxima change."""
    # Only inputs: every evaluation reads a clone of them, so that no graph notices. Parameters are read as they are.
    moved = [leaf for leaf in context.subject.leaves if leaf.kind == "input"]
    try:
        for leaf in moved:
            leaf.tensor.detach().copy_(SHRINK * leaf.origin.reshape(-1).roll(1).reshape(leaf.origin.shape))
        yield
    finally:
        for leaf in moved:
            leaf.tensor.detach().copy_(leaf.origin)


class _Stirred(Watch):
    """Lets the forward draw other random numbers than the subject's replayed ones."""

    def entered(self, function: FunctionClass, inputs: Sequence[Any]) -> None:
        del function, inputs
        torch.rand(3)
