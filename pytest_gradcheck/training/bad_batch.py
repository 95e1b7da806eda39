"""Which tensor of a batch holds numbers that are not finite: in which of its samples, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.subjects.tree import tensors
from pytest_gradcheck.training.numbers import has_numbers, is_mask, non_finite, values_of

if TYPE_CHECKING:
    from pytest_gradcheck.training.feed import Batch

#: Samples that are named; of more the number is said.
_NAMED = 5


def bad_batch(batch: Batch) -> tuple[str, str, tuple[str, ...]] | None:
    """The side of a batch that is not finite, "nan" or "inf", and a sentence a bad tensor; None for a good batch."""
    for side, part in (("inputs", batch.inputs), ("targets", batch.targets)):
        held = [(name, tensor) for name, tensor in tensors(part, side) if _numbers(tensor)]
        bad = [(name, tensor, kind) for name, tensor in held if (kind := non_finite(values_of(tensor)))]
        if bad:
            # A tensor that is alone needs no path: `watch` keeps the arguments of each call.
            said = [where(name if len(held) > 1 else side, tensor) for name, tensor, _ in bad]
            return side, min((kind for *_, kind in bad), key=("nan", "inf").index), tuple(said)
    return None


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


def _numbers(tensor: torch.Tensor) -> bool:
    return has_numbers(tensor) and not is_mask(values_of(tensor))
