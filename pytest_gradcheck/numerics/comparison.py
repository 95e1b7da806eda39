"""Comparing two gradients, and judging the difference against the bands and against what the error bars can explain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from pytest_gradcheck.model import Verdict

#: A proven difference of this relative size or less is the rounding of a float64 backward, not a finding.
ROUNDING = 1e-9
#: A gradient from autograd below this share of the error bar is zero but for rounding.
ZERO = 1e-3
#: A difference must exceed the error bar this many times to be proven.
PROOF = 3.0


@dataclass(frozen=True)
class Judgement:
    """What a comparison says: the ratio of record, its error bar in the same unit, and what follows."""

    relative_error: float
    error_bar: float
    verdict: Verdict
    proven: bool
    reason: str | None = None

    @property
    def imprecise(self) -> bool:
        """Whether a difference is proven though it lies below the lower band."""
        return self.proven and self.verdict is Verdict.GOOD


def judge(
    autograd: torch.Tensor, numeric: torch.Tensor, bars: torch.Tensor, bands: tuple[float, float], plain: bool = False
) -> Judgement:
    """The judgement on two gradients, given as vectors, by `||numeric - autograd|| / (||numeric|| + ||autograd||)`.

    The norms are 2-norms; where both gradients are zero the ratio is 0.0.

    Args:
        autograd: Derivatives from autograd; float64, shape (n,).
        numeric: Derivatives from finite differences; float64, shape (n,).
        bars: Error bars of `numeric`; float64, shape (n,).
        bands: Relative errors up to which a gradient is GOOD, and SUSPICIOUS.
        plain: Whether the bands alone name the verdict, as for the plain central quotient; the bars then only say
            whether the difference is proven, and whether the gradient is more than zero.
    """
    if not bool(autograd.isfinite().all()):
        return _not_finite(autograd, numeric)
    if not bool(numeric.isfinite().all()):
        return Judgement(math.nan, math.inf, Verdict.INCONCLUSIVE, False, "domain edge")
    scale = float(numeric.norm() + autograd.norm())
    difference, bar = float((numeric - autograd).norm()), float(bars.norm())
    if not scale:
        return Judgement(0.0, 0.0, Verdict.GOOD, False)
    ratio, uncertain = difference / scale, bar / scale
    proven = difference > PROOF * bar and ratio > ROUNDING
    named = band(ratio, bands)
    if plain and _why(autograd, numeric, bar) != "zero gradient":
        return Judgement(ratio, uncertain, named, proven)
    if proven or (named is Verdict.SUSPICIOUS and difference > bar):
        return Judgement(ratio, uncertain, named, proven)
    if uncertain <= bands[0] and named is Verdict.GOOD:
        return Judgement(ratio, uncertain, Verdict.GOOD, False)
    return Judgement(ratio, uncertain, Verdict.INCONCLUSIVE, False, _why(autograd, numeric, bar))


def band(ratio: float, bands: tuple[float, float]) -> Verdict:
    """The verdict that the bands alone give a relative error."""
    low, high = bands
    return Verdict.GOOD if ratio <= low else Verdict.SUSPICIOUS if ratio <= high else Verdict.WRONG


def _why(autograd: torch.Tensor, numeric: torch.Tensor, bar: float) -> str:
    # Noise makes a bar as wide as any gradient; a gradient that is zero but for rounding lies far below it.
    small = float(autograd.norm()) <= ZERO * bar and float(numeric.norm()) <= PROOF * bar
    return "zero gradient" if small else "noise"


def _not_finite(autograd: torch.Tensor, numeric: torch.Tensor) -> Judgement:
    """A nan from autograd is wrong where the function has a derivative; off the domain it is nobody's fault."""
    lies = bool((~autograd.isfinite() & numeric.isfinite()).any())
    if lies:
        return Judgement(math.nan, 0.0, Verdict.WRONG, True)
    return Judgement(math.nan, math.inf, Verdict.INCONCLUSIVE, False, "domain edge")
