"""Whether a tensor's content changed: a hash of its bits, which no version counter can hide a write from."""

from __future__ import annotations

from collections.abc import Iterable

import torch

#: Numbers that are hashed at once, so that a large tensor costs no second copy of itself.
CHUNK = 1 << 20
#: An odd multiplier (2**64 divided by the golden ratio): every position weighs differently, modulo 2**64.
MULTIPLIER = -7046029254386353131
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

Fingerprint = tuple[tuple[int, ...], torch.dtype, int]


@torch.no_grad()
def fingerprint(tensor: torch.Tensor) -> Fingerprint:
    """Shape, dtype and a 64-bit hash of the bits; equal content gives an equal one, -0.0 and 0.0 differ.

    A sparse tensor is hashed by its dense form; a nested or fake one by its shape only.
    """
    found = tensor.detach()
    if found.layout is not torch.strided and not found.is_nested:
        found = found.to_dense()
    if found.is_nested or found.is_meta:
        return (), found.dtype, 0
    found = found.resolve_conj().resolve_neg()
    found = torch.view_as_real(found) if found.is_complex() else found
    integer = _INTEGERS.get(found.element_size(), torch.uint8)
    flat = found.reshape(-1).view(integer)
    total = torch.zeros((), dtype=torch.int64, device=flat.device)
    for start in range(0, flat.numel(), CHUNK):
        chunk = flat[start : start + CHUNK].to(torch.int64)
        weights = torch.arange(start + 1, start + 1 + chunk.numel(), device=flat.device) * MULTIPLIER | 1
        total += (chunk * weights).sum()
    return tuple(tensor.shape), tensor.dtype, int(total)


def fingerprints(values: Iterable[object]) -> list[Fingerprint | None]:
    """One per value; None for what is no tensor."""
    return [fingerprint(value) if isinstance(value, torch.Tensor) else None for value in values]
