"""Is each gradient right when only some of the inputs require one? In training some are always frozen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations

from pytest_gradcheck.checks.agree import attempt, disagreements
from pytest_gradcheck.checks.base import Context, Outcome, names
from pytest_gradcheck.subjects.observe import functions
from pytest_gradcheck.subjects.subject import Gradients, Leaf, Subject

#: Up to this many tensors every subset is tried; beyond it each alone and each left out, of the first `MOST`.
ALL_SUBSETS = 3
MOST = 8


class NeedsInputGrad:
    """Lets every proper subset of the checked tensors require a gradient, and compares with all together.

    Up to three tensors all subsets are tried (at most 6), beyond that each of the first eight alone and each of them
    left out (at most 16). Cost: one forward and one backward a subset, on subjects with a custom Function.
    """

    name = "needs-input-grad"

    def run(self, context: Context) -> Outcome:
        """Compares each subset's gradients with those of all together."""
        outcome = Outcome()
        leaves = context.subject.leaves
        if len(leaves) < 2 or not functions(context.subject) or not any(context.gradients.reached):
            return outcome
        whole = dict(zip(leaves, context.gradients.values, strict=True))
        reached = dict(zip(leaves, context.gradients.reached, strict=True))
        for chosen in subsets(leaves):
            if context.deadline.passed:
                break
            if not any(reached[leaf] for leaf in chosen):
                continue  # no output requires a gradient then, and nothing is lost
            said = f"when only {names([leaf.name for leaf in chosen], MOST)} requires a gradient"
            found, raised = attempt(self.name, f"the backward raises {said}", lambda: _alone(context, chosen))  # noqa: B023
            # A module that differentiates by its own parameters may refuse to have one frozen; that cannot go unseen.
            loud = context.subject.function is not None
            outcome.findings += raised if loud else [replace(finding, severity="warning") for finding in raised]
            if found is not None:
                expected = [whole[leaf] for leaf in chosen]
                outcome.findings += disagreements(context, self.name, said, expected, found.values, chosen)
        return outcome


def subsets(leaves: Sequence[Leaf]) -> Iterator[tuple[Leaf, ...]]:
    """The proper subsets to try: all of a few leaves, each alone and each left out of many."""
    if len(leaves) <= ALL_SUBSETS:
        for size in range(1, len(leaves)):
            yield from combinations(leaves, size)
        return
    for leaf in leaves[:MOST]:
        yield (leaf,)
    for out in leaves[:MOST]:
        yield tuple(leaf for leaf in leaves if leaf is not out)


def _alone(context: Context, chosen: Sequence[Leaf]) -> Gradients:
    subject = context.subject
    with _requiring(subject.leaves, chosen):
        part = Subject(subject.name, chosen, subject.evaluate, subject.function, subject.source, subject.size)
        return part.gradients(context.cotangents)


@contextmanager
def _requiring(leaves: Sequence[Leaf], chosen: Sequence[Leaf]) -> Iterator[None]:
    try:
        for leaf in leaves:
            leaf.tensor.requires_grad_(leaf in chosen)
        yield
    finally:
        for leaf in leaves:
            leaf.tensor.requires_grad_(True)
