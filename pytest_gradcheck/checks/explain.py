"""Why a tensor's gradient is wrong: its wrong elements, others measured beside them, and a cause that explains both."""

from __future__ import annotations

from typing import NamedTuple

import torch

from pytest_gradcheck.checks import locate, probes
from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.columns import columns
from pytest_gradcheck.checks.locate import Located, sampled
from pytest_gradcheck.checks.measure import Comparison, compare
from pytest_gradcheck.diagnosis import Cause, Evidence, Gradient, diagnose
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import generator, inner, signed
from pytest_gradcheck.numerics.stencil import richardson, sweep
from pytest_gradcheck.subjects.subject import Leaf


class Explained(NamedTuple):
    """Single elements of a tensor that is wrong, and the cause where one is sure."""

    pointed: Comparison
    cause: Cause | None


def explain(context: Context, leaf: Leaf, reached: bool, comparison: Comparison) -> Explained:
    """Explains a gradient that was shown to be wrong.

    Args:
        context: What the check was given.
        leaf: The tensor.
        reached: Whether backward returned a tensor for it.
        comparison: The measurement that showed it, element by element or along tangents.
    """
    gradient = context.gradients.values[context.subject.leaves.index(leaf)]
    located, pointed = Located([], False), comparison
    if comparison.probes[0].position is None:
        located = locate.locate(context, comparison)
        pointed = compare(context, probes.elements(leaf, gradient, sampled(context, leaf, located)))
    return Explained(pointed, diagnose(_evidence(context, leaf, reached, pointed, located)))


def _evidence(context: Context, leaf: Leaf, reached: bool, pointed: Comparison, located: Located) -> Evidence:
    kept = pointed.kept()
    # Elements that no step could measure are no evidence: at the edge of a domain an infinite gradient may be right.
    kept = kept[pointed.numeric[kept].isfinite()]
    positions = torch.tensor([pointed.probes[int(i)].position for i in kept], dtype=torch.long)
    gradient = context.gradients.values[context.subject.leaves.index(leaf)]
    gradients = zip(context.subject.leaves, context.gradients.values, strict=True)
    own, *others = sorted(
        (Gradient(other.name, tuple(other.real().shape), other.real(value).reshape(-1)) for other, value in gradients),
        key=lambda gradient: gradient.name != leaf.name,
    )
    return Evidence(
        name=leaf.name,
        shape=own.shape,
        positions=positions,
        autograd=pointed.autograd[kept],
        numeric=pointed.numeric[kept],
        bars=pointed.bars[kept],
        point=leaf.real(leaf.origin).reshape(-1),
        reached=reached,
        whole=own.flat,
        others=others,
        complete=located.complete,
        sizes=_sizes(context, leaf),
        multipliers=_multipliers(context, leaf, positions),
        agrees=lambda place: _agrees(context, leaf, gradient, place),
        measure=lambda evidence: columns(context, leaf, evidence),
    )


def _agrees(context: Context, leaf: Leaf, gradient: torch.Tensor, place: torch.Tensor) -> bool:
    """Whether the gradient is right along a random direction that is zero in a place."""
    tangent = signed(leaf.tensor, generator(context.settings.seed, "outside", leaf.name))
    leaf.real(tangent).reshape(-1)[place.to(tangent.device)] = 0
    with context.subject.along({leaf: tangent}, context.objective) as line:
        found = sweep(line, context.noise) if context.rough else richardson(line, context.step, context.noise)
    return abs(found.value - inner(gradient, tangent)) <= PROOF * found.bar


def _values(leaf: Leaf, tensor: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return leaf.real(tensor).reshape(-1)[positions.to(tensor.device)].double().cpu()


def _multipliers(context: Context, leaf: Leaf, positions: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """Values that a term of the gradient may be multiplied with: the tensor's own, and outputs of the same shape."""
    return [("the tensor's own value", _values(leaf, leaf.origin, positions))] + [
        (f"output {k}'s value", _values(leaf, output, positions))
        for k, output in enumerate(context.baseline)
        if output.shape == leaf.tensor.shape and output.is_complex() == leaf.tensor.is_complex()
    ]


def _sizes(context: Context, leaf: Leaf) -> list[tuple[str, int]]:
    """Sizes that a constant factor may be made of."""
    named = [("the number of elements", leaf.numel)]
    tensors = [(other.name, other.tensor) for other in context.subject.leaves]
    for k, output in enumerate(context.baseline):
        which = "the output" if len(context.baseline) == 1 else f"output {k}"
        named += [("the batch size", output.shape[0])] if output.dim() > 1 else []
        named += [(f"the number of elements of {which}", output.numel())]
        tensors.insert(k, (which, output))
    batches = {size for name, size in named if name == "the batch size"}
    for name, tensor in tensors:
        sizes = enumerate(tensor.shape)
        # The first axis of everything is the batch: once is enough.
        named += [(f"the size of axis {axis} of {name}", size) for axis, size in sizes if axis or size not in batches]
    return named
