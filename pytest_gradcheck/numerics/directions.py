"""Random directions for projections, reproducible from a seed on every device."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch


def generator(seed: int, *words: object) -> torch.Generator:
    """A CPU generator whose stream depends on the seed and on what it is for, never on what was drawn before."""
    label = zlib.crc32("/".join(map(str, words)).encode())
    return torch.Generator().manual_seed((seed * 0x9E3779B97F4A7C15 + label) % 2**63)


def signed(like: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Entries `sign * U[0.5, 1.5]` in the shape, dtype and device of `like`; complex tensors get two such parts.

    Bounded away from zero, so that no entry is overlooked; random in size, so that errors do not cancel exactly as they
    do with Rademacher entries; signed, so that errors of one sign do not hide in a common mode.
    """
    shape = (*like.shape, 2) if like.is_complex() else tuple(like.shape)
    # Drawn in float64 on the CPU whatever the target is: the same seed gives the same direction everywhere.
    # In place, because a direction over the weights of a large net is as large as the net.
    drawn = torch.rand(shape, generator=source, dtype=torch.float64).add_(0.5)
    drawn.mul_(torch.randint(0, 2, shape, generator=source, dtype=torch.int8).mul_(2).sub_(1))
    drawn = torch.view_as_complex(drawn) if like.is_complex() else drawn
    return drawn.to(device=like.device, dtype=like.dtype)


def paired(
    outputs: Sequence[torch.Tensor], baseline: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]
) -> torch.Tensor:
    """`Re <v, f - baseline>` over all outputs, a scalar; where a cotangent is zero the output may even be nan."""
    total = torch.zeros((), dtype=torch.float64)
    for output, base, cotangent in zip(outputs, baseline, cotangents, strict=True):
        change = torch.where(cotangent != 0, output - base, 0)
        if cotangent.is_complex():
            change, cotangent = torch.view_as_real(change), torch.view_as_real(cotangent)
        total = total + (change.double() * cotangent.double()).sum().to(total.device)
    return total


def inner(left: torch.Tensor, right: torch.Tensor) -> float:
    """The real inner product `Re <left, right>`, summed in float64 whatever the tensors' own precision is."""
    if left.is_complex():
        left, right = torch.view_as_real(left.resolve_conj()), torch.view_as_real(right.resolve_conj())
    return float(torch.dot(left.reshape(-1).double(), right.reshape(-1).double()))
