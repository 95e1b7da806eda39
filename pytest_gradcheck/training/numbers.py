"""The numbers in a tensor, whatever its layout and dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Additive attention masks hold 0 and numbers below this, or -inf.
_MASKED = -1e4
#: Above this magnitude an operation that gives a nan is the victim of what came before it, not the culprit.
SANE = 1e15
_COMPRESSED = {torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc, torch.jagged}


def values_of(tensor: torch.Tensor) -> torch.Tensor:
    """What the tensor stores, as a strided tensor: the zeros that a sparse one leaves out are left out."""
    if tensor.layout is torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout in _COMPRESSED:
        return tensor.values()
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def real_values(tensor: torch.Tensor) -> torch.Tensor:
    """As `values_of`, detached; complex numbers as pairs of real ones."""
    values = values_of(tensor.detach())
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def total(tensor: torch.Tensor) -> float:
    """The sum of a tensor's numbers, by which two runs of the same step are compared."""
    return float(real_values(tensor).double().sum())


def has_numbers(leaf: object) -> bool:
    """Whether this is a tensor that can hold a nan."""
    return isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())


def is_mask(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds zeros and what an additive attention mask has in their place, both and nothing else."""
    if not tensor.is_floating_point():
        return False
    masked, zero = tensor <= _MASKED, tensor == 0
    return bool(masked.any()) and bool(zero.any()) and bool((zero | masked).all())


def masks_among(tensors: Iterable[torch.Tensor]) -> set[int]:
    """Places of those inputs of a model that are masks: something must be there that they mask."""
    values = [values_of(tensor) for tensor in tensors]
    found = {place for place, tensor in enumerate(values) if is_mask(tensor)}
    return found if len(found) < len(values) else set()


def non_finite(tensor: torch.Tensor) -> str | None:
    """ "nan" or "inf" where the tensor holds one (nan first), else None."""
    if bool(torch.isfinite(tensor).all()):
        return None
    return "nan" if bool(torch.isnan(tensor).any()) else "inf"


def norm_of(tensor: torch.Tensor) -> float:
    """The Euclidean norm of a tensor of any layout, summed in double precision."""
    return float(torch.linalg.vector_norm(real_values(tensor), dtype=torch.float64))
