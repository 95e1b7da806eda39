"""Is a custom Function's own `jvp` the derivative of its forward?"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping

import torch
from torch.autograd import forward_ad

from pytest_gradcheck.checks.agree import attempt
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import generator, inner, signed
from pytest_gradcheck.numerics.stencil import richardson, sweep
from pytest_gradcheck.subjects.subject import Leaf

#: Leaves whose tangent is sent alone, the others' being none.
MOST = 4

Tangents = Mapping[Leaf, torch.Tensor]


class Jvp:
    """Sends tangents through forward-mode AD: of all inputs together, then of each alone.

    Wrong is what agrees neither with finite differences nor with the vjp: at a kink the former may differ, and where
    the vjp is wrong the latter does. Cost: one forward a tangent (up to five), and some more where it disagrees.
    """

    name = "jvp"

    def run(self, context: Context) -> Outcome:
        """Findings for tangents whose jvp is wrong, on Functions that define `jvp`."""
        function = context.subject.function
        if function is None or function.jvp is torch.autograd.Function.jvp or not context.finite:
            return Outcome()
        drawn = {
            leaf: signed(leaf.tensor, generator(context.settings.seed, "jvp", leaf.name))
            for leaf in context.subject.leaves
        }
        directions: list[tuple[str, Tangents]] = [("all tensors together", drawn)]
        if len(drawn) > 1:
            directions += [(f"{leaf.name} alone", {leaf: drawn[leaf]}) for leaf in list(drawn)[:MOST]]
        outcome = Outcome()
        _load()
        for said, tangents in directions:
            if context.deadline.passed:
                break
            found, raised = attempt(
                self.name,
                f"the jvp raises for a tangent of {said}",
                lambda: _pushed(context, tangents),  # noqa: B023
            )
            outcome.findings += raised
            if found is not None:
                outcome.findings += _judged(context, said, tangents, found)
        return outcome


@functools.cache
def _load() -> None:
    """Lets torch load its forward mode, which warns of torch itself: under -W error that would be the jvp's fault."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore")
        forward_ad.make_dual(torch.zeros(()), torch.zeros(()))  # type: ignore[no-untyped-call]


def _pushed(context: Context, tangents: Tangents) -> float:
    """`Re <v, jvp(u)>` by forward-mode AD."""
    with forward_ad.dual_level():
        try:
            with torch.no_grad():
                for leaf, tangent in tangents.items():
                    # An in-place copy hands the tangent on to the very tensor that the subject reads.
                    leaf.tensor.copy_(forward_ad.make_dual(leaf.origin.clone(), tangent))  # type: ignore[no-untyped-call]
            outputs = context.subject.evaluate()
            duals = [forward_ad.unpack_dual(output).tangent for output in outputs]  # type: ignore[no-untyped-call]
            return sum(
                inner(dual.detach(), cotangent)
                for dual, cotangent in zip(duals, context.cotangents, strict=True)
                if dual is not None
            )
        finally:
            for leaf in tangents:
                leaf.tensor.detach().copy_(leaf.origin)


def _judged(context: Context, said: str, tangents: Tangents, found: float) -> list[Finding]:
    by_leaf = dict(zip(context.subject.leaves, context.gradients.values, strict=True))
    pulled = sum(inner(by_leaf[leaf], tangent) for leaf, tangent in tangents.items())
    # The sum may cancel; what it is made of does not.
    size = sum(float(by_leaf[leaf].norm() * tangent.norm()) for leaf, tangent in tangents.items()) + abs(found)
    low = context.settings.bands[0]
    if abs(found - pulled) <= low * size:
        return []
    with context.subject.along(tangents, context.objective) as line:
        numeric = richardson(line, context.step, context.noise)
        if not PROOF * numeric.bar <= low * size:
            numeric = sweep(line, context.noise)
    if not abs(found - numeric.value) > max(PROOF * numeric.bar, low * size):
        return []
    message = (
        f"the jvp is wrong for a tangent of {said}: forward-mode AD gives {found:.9g}, finite differences "
        f"{numeric.value:.9g} and the backward {pulled:.9g}"
    )
    return [Finding("jvp", "error", message)]
