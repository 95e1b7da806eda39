"""Which tensor of a batch holds numbers that are not finite: in which of its samples, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from pytest_gradcheck.subjects.tree import tensors
from pytest_gradcheck.training.numbers import has_numbers, masks_among, non_finite, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gradcheck.training.feed import Batch

#: Samples that are named; of more the number is said.
_NAMED = 5


def bad_batch(batch: Batch) -> tuple[str, str, tuple[str, ...]] | None:
    """The side of a batch that is not finite, "nan" or "inf", and a sentence a bad tensor; None for a good batch."""
    for side, part in (("inputs", batch.inputs), ("targets", batch.targets)):
        everything = list(tensors_of(part, side))
        masks = masks_among(tensor for _, tensor in everything) if side == "inputs" else set()
        kept = [item for place, item in enumerate(everything) if place not in masks]
        held = [(name, tensor) for name, tensor in kept if has_numbers(tensor)]
        bad = [(name, tensor, kind) for name, tensor in held if (kind := non_finite(values_of(tensor)))]
        if bad:
            # A tensor that is alone needs no path: `watch` keeps the arguments of each call.
            said = [where(name if len(held) > 1 else side, tensor) for name, tensor, _ in bad]
            return side, min((kind for *_, kind in bad), key=("nan", "inf").index), tuple(said)
    return None


def tensors_of(part: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in a part of a batch, with its breadcrumb; in containers that only pytree knows, with its place."""
    seen = set()
    for crumb, tensor in tensors(part, name):
        seen.add(id(tensor))
        yield crumb, tensor
    for place, leaf in enumerate(tree_leaves(part)):
        if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
            yield f"{name}[{place}]", leaf


def where(name: str, tensor: torch.Tensor) -> str:
    """The samples (along the first axis) of a tensor that hold nan or infinities, and how many."""
    sparse, tensor = tensor.layout is not torch.strided, values_of(tensor)
    bad = ~torch.isfinite(tensor)
    counts = [(int((bad & torch.isnan(tensor)).sum()), "nan"), (int((bad & ~torch.isnan(tensor)).sum()), "inf")]
    number = " and ".join(f"{count:,} {kind}" for count, kind in counts if count)
    if not tensor.dim() or sparse:  # the values that a sparse tensor stores are in no sample's order
        return f"{name} of the batch: {number}" + (f" of {tensor.numel():,} stored" if sparse else "")
    samples = [int(sample) for sample in bad.reshape(len(tensor), -1).any(1).nonzero()]
    if len(samples) == 1:
        of = f"of {tensor[0].numel():,}"
        return f"{name}[{samples[0]}] of the batch (sample {samples[0]} of {len(tensor)}): {number} {of}"
    named = ", ".join(map(str, samples[:_NAMED])) + (", ..." if len(samples) > _NAMED else "")
    return f"{name} of the batch: {number} of {tensor.numel():,}, in {len(samples)} of {len(tensor)} samples ({named})"
