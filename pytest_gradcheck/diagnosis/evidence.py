"""What a diagnosis may look at, and when a hypothesis about it counts as borne out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import torch

#: A hypothesis explains an element when what it leaves over is at most this share of it, beyond the error bars.
RESIDUAL = 1e-5
#: How often, at most, an element that is wrong in some other way agrees with a hypothesis by accident.
ACCIDENT = 1e-3
#: Confidence below which nothing is said.
SAID = 0.995


class Cause(NamedTuple):
    """A cause in words, and the confidence that a gradient wrong in another way would not look like this, 0..1."""

    said: str
    confidence: float


class Gradient(NamedTuple):
    """The whole gradient that autograd returned for a tensor: its name, shape, and real numbers in order."""

    name: str
    shape: tuple[int, ...]
    flat: torch.Tensor


@dataclass(frozen=True)
class Columns:
    """How every output element depends on some elements of the tensor: columns of the Jacobian, by finite differences.

    Attributes:
        chosen: Which of the measured elements, by their place in `Evidence.positions`; int64, shape (k,).
        outputs: Per output its derivatives by those elements; float64, shape (k, *output shape).
        cotangents: The cotangent of each output; float64, shape (*output shape).
    """

    chosen: torch.Tensor
    outputs: list[torch.Tensor]
    cotangents: list[torch.Tensor]

    def pulled(self, cotangents: Sequence[torch.Tensor]) -> torch.Tensor:
        """The vjp of some cotangents, at the chosen elements; float64, shape (k,)."""
        return self.parts(cotangents).sum(1)

    def parts(self, cotangents: Sequence[torch.Tensor]) -> torch.Tensor:
        """What each output element adds to that; float64, shape (k, elements of all outputs)."""
        pairs = zip(self.outputs, cotangents, strict=True)
        return torch.cat([(j * v).reshape(len(self.chosen), v.numel()) for j, v in pairs], 1)


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
        point: The tensor's own values, all of them; real, shape (numel,).
        reached: Whether backward returned a tensor at all (None counts as zero).
        whole: All that autograd returned for the tensor, measured or not; real, shape (numel,).
        others: What it returned for the other tensors.
        complete: Whether every element that was not measured is known to be right.
        sizes: Sizes that a factor may come from, by what they are called.
        multipliers: Values that a term may be multiplied with, by what they are called; float64, shape (n,) each.
        agrees: Whether the gradient is right outside of a place, a mask of shape (numel,): measured by a direction.
        measure: Measures columns of the Jacobian; None where that is too much work.
    """

    name: str
    shape: tuple[int, ...]
    positions: torch.Tensor
    autograd: torch.Tensor
    numeric: torch.Tensor
    bars: torch.Tensor
    point: torch.Tensor
    reached: bool
    whole: torch.Tensor
    others: Sequence[Gradient] = ()
    complete: bool = False
    sizes: Sequence[tuple[str, int]] = ()
    multipliers: Sequence[tuple[str, torch.Tensor]] = ()
    agrees: Callable[[torch.Tensor], bool] = lambda _: True
    measure: Callable[[Evidence], Columns | None] = lambda _: None

    @property
    def numel(self) -> int:
        """Number of elements of the whole tensor."""
        return prod(self.shape)

    @property
    def everything(self) -> bool:
        """Whether the verdict on every element is known."""
        return self.complete or len(self.positions) == self.numel

    @cached_property
    def values(self) -> torch.Tensor:
        """The tensor's own values where it was measured; float64, shape (n,)."""
        return self.point[self.positions.to(self.point.device)].double().cpu()

    @cached_property
    def columns(self) -> Columns | None:
        """Columns of the Jacobian, measured when a cause first asks for them."""
        return self.measure(self)

    @cached_property
    def wrong(self) -> torch.Tensor:
        """Which elements differ by more than their bars and rounding explain; bool, shape (n,)."""
        gap = (self.numeric - self.autograd).abs()
        return ~(gap <= torch.maximum(3 * self.bars, RESIDUAL * (self.numeric.abs() + self.autograd.abs())))

    @cached_property
    def grid(self) -> list[torch.Tensor]:
        """The index of every measured element, an int64 tensor of shape (n,) per axis."""
        return list(torch.unravel_index(self.positions, self.shape)) if self.shape else []

    def only(self, kept: torch.Tensor) -> Evidence:
        """The same evidence on some of the measured elements; `kept` is a bool or an index tensor."""
        vectors = (self.positions[kept], self.autograd[kept], self.numeric[kept], self.bars[kept])
        return Evidence(self.name, self.shape, *vectors, self.point, self.reached, self.whole)

    def cause(self, said: str, candidate: torch.Tensor, free: int = 0, tried: int = 1) -> Cause | None:
        """The cause in words where autograd returned `candidate`, made of the numeric gradient; else None."""
        found = confidence(self.autograd, candidate, self.numeric, self.bars, free, tried)
        return Cause(said, found) if found >= SAID else None

    def named(self, i: int) -> list[int]:
        """Index of the i-th measured element."""
        return [int(axis[i]) for axis in self.grid]


def confidence(
    found: torch.Tensor,
    candidate: torch.Tensor,
    instead: torch.Tensor,
    bars: torch.Tensor,
    free: int = 0,
    tried: int = 1,
) -> float:
    """How surely `candidate` is what was found; 0.0 where any element disagrees.

    Those elements count as evidence in which what was found differs clearly from `instead`, each distinct value once:
    an accident explains one of them, hardly ever two.

    Args:
        found: One gradient; float64, shape (n,).
        candidate: What a hypothesis makes of the other one; float64, shape (n,).
        instead: What stands there without the hypothesis; float64, shape (n,).
        bars: Error bars of `candidate`; float64, shape (n,).
        free: Parameters of the hypothesis that were fitted.
        tried: Number of hypotheses like this one.
    """
    size = found.abs() + candidate.abs()
    allowed = torch.maximum(3 * bars, RESIDUAL * size)
    if not bool(((found - candidate).abs() <= allowed).all()):
        return 0.0
    telling = ((found - instead).abs() > 10 * allowed) & (size > 10 * allowed)
    count = distinct(candidate[telling]) - free
    return max(0.0, 1 - tried * ACCIDENT**count) if count > 0 else 0.0


def distinct(values: torch.Tensor) -> int:
    """Number of different magnitudes beside zero: equal numbers bear a hypothesis out only once."""
    sizes = values[values != 0].abs().log()
    return len(torch.unique((sizes * 1e3).round()))
