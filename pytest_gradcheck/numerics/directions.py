"""Random directions for projections, reproducible from a seed on every device."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence

import torch

#: Entries that are drawn for a tensor at most; beyond, they repeat with a factor of its own for every stretch.
BLOCK = 1 << 16


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


class Tangent:
    """A random signed direction over a tensor that costs no second tensor of its size.

    Up to `BLOCK` real numbers it is `signed`. A larger tensor repeats one block of that size, each time with a random
    signed factor: still no entry is small, and an error cancels along it with probability zero.

    Args:
        like: The tensor; its shape, dtype and device count.
        source: Where the entries come from.
    """

    def __init__(self, like: torch.Tensor, source: torch.Generator) -> None:
        real = _real(like)
        self._like = like
        self._range = (0, real.numel())
        self._scale = 1.0
        self._factors = [1.0]
        if real.numel() <= BLOCK:
            self._block = _real(signed(like, source)).reshape(-1)
            return
        self._block = signed(real.new_empty(BLOCK), source)
        stretches = torch.empty(-(-real.numel() // BLOCK), dtype=torch.float64)
        self._factors = signed(stretches, source).tolist()

    def scaled(self, factor: float) -> Tangent:
        """The same direction, `factor` times as long."""
        return self._with(self._scale * factor, self._range)

    def part(self, first: int, last: int) -> Tangent:
        """The same direction with zero outside of the flat positions `first .. last - 1` (of real numbers)."""
        return self._with(self._scale, (first, last))

    def _with(self, scale: float, positions: tuple[int, int]) -> Tangent:
        twin = Tangent.__new__(Tangent)
        twin._like, twin._block, twin._factors = self._like, self._block, self._factors
        twin._scale, twin._range = scale, positions
        return twin

    def shift(self, tensor: torch.Tensor, step: float) -> None:
        """Adds `step` times the direction to a tensor, in place."""
        tensor = tensor.detach()
        flat = _real(tensor).view(-1) if tensor.is_contiguous() and not tensor.is_conj() else None
        if flat is None:
            tensor.add_(self.dense(), alpha=step)
            return
        for first, last, block, factor in self._stretches():
            flat[first:last].add_(block, alpha=step * factor)

    def along(self, gradient: torch.Tensor) -> float:
        """The real inner product of a gradient with the direction, summed in float64."""
        flat = _real(gradient).reshape(-1)
        return sum(
            float(torch.dot(flat[first:last].double(), block.double())) * factor
            for first, last, block, factor in self._stretches()
        )

    def dense(self) -> torch.Tensor:
        """The direction as a tensor."""
        found = torch.zeros_like(self._like.detach(), memory_format=torch.contiguous_format)
        flat = _real(found).view(-1)
        for first, last, block, factor in self._stretches():
            flat[first:last] = block * factor
        return found

    def _stretches(self) -> Iterator[tuple[int, int, torch.Tensor, float]]:
        """First and last flat position, entries and factor of every stretch of the range."""
        start, end = self._range
        for k in range(start // BLOCK, -(-end // BLOCK)):
            first, last = max(start, k * BLOCK), min(end, (k + 1) * BLOCK)
            yield first, last, self._block[first - k * BLOCK : last - k * BLOCK], self._factors[k] * self._scale


def _real(tensor: torch.Tensor) -> torch.Tensor:
    found = tensor.detach()
    return torch.view_as_real(found.resolve_conj()) if found.is_complex() else found


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


def weighted(left: torch.Tensor, right: torch.Tensor) -> float:
    """`||left * right||` over the elements, without a third tensor of their size."""
    left, right = left.detach().reshape(-1), right.detach().reshape(-1)
    parts = zip(torch.split(left, BLOCK), torch.split(right, BLOCK), strict=True)
    return math.hypot(*(float((a * b).abs().double().norm()) for a, b in parts))
