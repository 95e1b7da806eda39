"""What a diagnosis may look at."""

from __future__ import annotations

from dataclasses import dataclass

import torch

#: A pattern explains a gradient when what it leaves over is at most this share of it, beyond the error bars.
RESIDUAL = 1e-4
#: Patterns over fewer elements than this fit by accident.
ENOUGH = 2


@dataclass(frozen=True)
class Evidence:
    """Elements of one tensor's gradient, from autograd and from finite differences.

    Attributes:
        name: The tensor's name.
        shape: Its shape as real numbers (a complex tensor has a last axis of two).
        positions: Flat positions of the measured elements; int64, shape (n,).
        autograd: Derivatives from autograd; float64, shape (n,).
        numeric: Derivatives from finite differences; float64, shape (n,).
        bars: Error bars of `numeric`; float64, shape (n,).
        values: The tensor's own values there; float64, shape (n,).
        reached: Whether backward returned a tensor at all (None counts as zero).
        batch: Size of the first output's first axis.
    """

    name: str
    shape: tuple[int, ...]
    positions: torch.Tensor
    autograd: torch.Tensor
    numeric: torch.Tensor
    bars: torch.Tensor
    values: torch.Tensor
    reached: bool
    batch: int

    @property
    def numel(self) -> int:
        """Number of elements of the whole tensor."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def wrong(self) -> torch.Tensor:
        """Which elements differ by more than their bars and rounding explain; bool, shape (n,)."""
        gap = (self.numeric - self.autograd).abs()
        floor = RESIDUAL * (self.numeric.abs() + self.autograd.abs())
        return ~(gap <= torch.maximum(3 * self.bars, floor))

    def explained(self, candidate: torch.Tensor) -> bool:
        """Whether `candidate` (what a cause would turn the numeric gradient into) is what autograd returned."""
        left = float((self.autograd - candidate).norm())
        allowed = RESIDUAL * float(self.autograd.norm() + candidate.norm()) / 2 + 3 * float(self.bars.norm())
        # Without this the bars alone would explain anything where the gradient is smaller than they are.
        return left <= allowed < 0.1 * float(candidate.norm())
