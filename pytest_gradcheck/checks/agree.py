"""Two gradients that should be equal: what the further checks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects.resolve import at
from pytest_gradcheck.subjects.subject import Leaf

T = TypeVar("T")


def disagreements(
    context: Context,
    kind: str,
    said: str,
    expected: Sequence[torch.Tensor],
    found: Sequence[torch.Tensor],
    leaves: Sequence[Leaf] | None = None,
    hint: str = "",
    times: float = 1.0,
) -> list[Finding]:
    """An error for every leaf whose gradient is not the one it should be.

    Args:
        context: What the check was given.
        kind: The finding's kind.
        said: When the gradient is wrong, to follow "is wrong"; such as "when only input1 requires a gradient".
        expected: The right gradient of each of `leaves`.
        found: What came instead.
        leaves: The leaves compared; all of the subject's by default.
        hint: Where to look, to end the message with.
        times: How many times as large as the context's the gradients are.
    """
    findings, ending = [], f"; {hint}" if hint else ""
    for leaf, right, wrong in zip(leaves or context.subject.leaves, expected, found, strict=True):
        index = disagreement(context, leaf, right, wrong, times)
        if index is None:
            continue
        values = f"{float(leaf.real(wrong)[index]):.6g} instead of {float(leaf.real(right)[index]):.6g}"
        where = f" at {list(index)}" if index else ""
        findings.append(Finding(kind, "error", f"the gradient of {leaf.name} is wrong {said}: {values}{where}{ending}"))
    return findings


def disagreement(
    context: Context, leaf: Leaf, right: torch.Tensor, wrong: torch.Tensor, times: float = 1.0
) -> tuple[int, ...] | None:
    """Index of the worst element where two gradients differ by more than rounding and noise explain, else None."""
    if not leaf.numel or not bool(right.isfinite().all()):
        return None
    typical = context.gradients.values[context.subject.leaves.index(leaf)]
    # Where a special cotangent has no gradient (ones before a normalisation) the typical one sets the scale.
    scale = float(right.norm() + wrong.norm() + abs(times) * typical.norm())
    difference = float((right - wrong).norm())
    # Two backward passes of the same numbers may differ by the rounding of another order of summation, and by what
    # the forward's own noise makes of them.
    bound = max(context.settings.bands[0], 100 * torch.finfo(right.dtype).eps)
    resolved = abs(times) * context.noise / context.step * leaf.numel**0.5
    if difference <= bound * scale or difference <= resolved:
        return None
    gaps = (leaf.real(right) - leaf.real(wrong)).abs().nan_to_num(float("inf"))
    return leaf.index(int(gaps.argmax()))


def attempt(kind: str, said: str, call: Callable[[], T]) -> tuple[T | None, list[Finding]]:
    """What `call` returns; where it raises, None and an error finding "<said>: <the exception>"."""
    try:
        return call(), []
    except Exception as error:  # noqa: BLE001  the user's own code may raise anything, and that is a result
        return None, [Finding(kind, "error", f"{said}: {explained(error)}")]


def explained(error: BaseException) -> str:
    """An exception in one line, with its place: that of the user's code, where the subject wrapped it."""
    cause = error.__cause__ or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0] if lines else '(no message)'}{at(cause)}"


def pull(
    leaves: Sequence[torch.Tensor],
    outputs: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor | None],
    retain: bool = False,
) -> list[torch.Tensor]:
    """The vjp of outputs that exist already; an output whose cotangent is None is left out, None counts as zero.

    The cotangents are cloned: a backward may write into its own. It may also return an output of its forward, which
    requires a gradient, where it saved one.
    """
    pairs = [(y, v.clone()) for y, v in zip(outputs, cotangents, strict=True) if v is not None and y.requires_grad]
    found: Sequence[torch.Tensor | None] = [None] * len(leaves)
    if pairs:
        found = torch.autograd.grad(
            [y for y, _ in pairs], leaves, [v for _, v in pairs], retain_graph=retain, allow_unused=True
        )
    dense = (value if value is None or value.layout == torch.strided else value.to_dense() for value in found)
    return [torch.zeros_like(y) if value is None else value.detach() for y, value in zip(leaves, dense, strict=True)]
