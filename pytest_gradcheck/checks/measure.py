"""The verdict on one leaf: cheap differences for all of its probes, a closer look where they cannot decide."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.batched import estimate
from pytest_gradcheck.checks.examine import examine
from pytest_gradcheck.checks.probes import Probe
from pytest_gradcheck.model import Verdict
from pytest_gradcheck.numerics.comparison import PROOF, Judgement, band, judge
from pytest_gradcheck.numerics.kink import Corner
from pytest_gradcheck.numerics.stencil import Derivative, central, richardson, sweep

#: Excuses that certify the gradient: it was compared with the slopes beside the point.
KINKS = {"kink", "kinks"}
#: Excuses that a fault may hide behind, if not in the same element: the gradient is compared beside the point as well.
CORNERS = {"kink", "kinks", "jump", "domain edge"}
#: A bar this many times what noise makes of one at the step says more than that nothing moves.
LOUD = 30
#: Closer looks per leaf that end in a smooth point; kinks do not count, there may be one in every element.
LOOKS = 16


@dataclass
class Comparison:
    """Autograd beside finite differences along the probes of one leaf.

    Attributes:
        probes: The lines that were measured.
        autograd: What autograd claims along them; float64, shape (n,).
        numeric: What finite differences say; float64, shape (n,); nan where there is no derivative.
        bars: Error bars of `numeric`; float64, shape (n,).
        excuses: Probes that need not agree, by position in `probes`: "kink", "kinks", "jump" or "domain edge".
        confirmed: Probes whose difference was proven by a closer look.
        corners: Probes through a kink that autograd's value is no slope of, with the slopes on both sides.
    """

    probes: list[Probe]
    autograd: torch.Tensor
    numeric: torch.Tensor
    bars: torch.Tensor
    excuses: dict[int, str] = field(default_factory=dict)
    confirmed: set[int] = field(default_factory=set)
    corners: dict[int, Corner] = field(default_factory=dict)

    def kept(self) -> torch.Tensor:
        """Indices of the probes that count."""
        return torch.tensor([i for i in range(len(self.probes)) if i not in self.excuses], dtype=torch.long)

    @property
    def difference(self) -> torch.Tensor:
        """`|numeric - autograd|`; inf where only one of them is a number, 0 where neither is."""
        gap = (self.numeric - self.autograd).abs()
        neither = ~self.numeric.isfinite() & ~self.autograd.isfinite()
        return torch.where(neither, 0.0, torch.where(gap.isnan(), math.inf, gap))

    def judged(self, context: Context) -> Judgement:
        """The judgement on the probes that count."""
        kept = self.kept()
        if not len(kept) and len(self.probes):
            # One element's interval is narrow; a direction through many kinks has room for a fault.
            alone = self.probes[0].position is not None
            reason = min(set(self.excuses.values()) - ({"kink"} if alone else set()), default=None)
            verdict = Verdict.INCONCLUSIVE if reason else Verdict.GOOD
            return Judgement(0.0, 0.0, verdict, False, reason)
        plain = context.settings.mode == "central"
        vectors = self.autograd[kept], self.numeric[kept], self.bars[kept]
        found = judge(*vectors, bands=context.settings.bands, plain=plain)
        unseen = sorted(set(self.excuses.values()) - KINKS)
        if unseen and found.verdict is Verdict.GOOD:
            # The others agree, but some elements had no derivative to compare with: that is not all GOOD.
            return replace(found, verdict=Verdict.INCONCLUSIVE, reason=unseen[0])
        return found

    def ratio(self, i: int) -> float:
        """The relative error of one probe."""
        scale = abs(float(self.autograd[i])) + abs(float(self.numeric[i]))
        return float(self.difference[i]) / scale if scale else 0.0

    def suspects(self, low: float) -> list[int]:
        """Probes whose own difference looks proven and above the lower band, worst first."""
        gaps, bars = self.difference, self.bars
        kept = self.kept()
        places = kept[(gaps[kept] > PROOF * bars[kept]) | ~self.numeric[kept].isfinite()].tolist()
        return sorted((i for i in places if not self.ratio(i) <= low), key=lambda i: -float(gaps[i]))


def compare(context: Context, probes: list[Probe]) -> Comparison:
    """Measures the probes until the budget ends, and looks closer where the cheap bars cannot decide."""
    measured = _measured(context, probes)
    done = probes[: len(measured)]
    comparison = Comparison(
        done,
        autograd=torch.tensor([probe.autograd for probe in done], dtype=torch.float64),
        numeric=torch.tensor([found.value for found in measured], dtype=torch.float64),
        bars=torch.tensor([found.bar for found in measured], dtype=torch.float64),
    )
    if not context.finite:
        # 0 x nan is nan: backward carries an output that has no value into every input it depends on.
        comparison.excuses |= {i: "domain edge" for i, claim in enumerate(comparison.autograd) if not claim.isfinite()}
    if context.settings.mode != "central":
        _look_closer(context, comparison)
    return comparison


def _measured(context: Context, probes: list[Probe]) -> list[Derivative]:
    """A derivative per probe, in their order, until the budget ends."""
    positions = [probe.position for probe in probes if probe.position is not None]
    together = estimate(context, probes[0].leaf, positions) if positions else None
    if together is not None:
        return together
    measured: list[Derivative] = []
    for probe in probes:
        if context.deadline.passed:
            break
        context.tell(f"{probe.leaf.name}, line {len(measured)} of {len(probes)}")
        measured.append(_estimate(context, probe))
    return measured


def _estimate(context: Context, probe: Probe) -> Derivative:
    with probe.line(context) as line:
        if context.settings.mode == "central":
            quotient = central(line, context.settings.eps)
            better = richardson(line, context.settings.eps, context.noise)
            return Derivative(quotient, better.bar + abs(better.value - quotient), context.settings.eps)
        if context.rough:
            return sweep(line, context.noise)
        return richardson(line, context.step, context.noise)


def _look_closer(context: Context, comparison: Comparison) -> None:
    """Examines the worst probe again and again, until the verdict stands."""
    seen: set[int] = set()
    smooth = 0
    while smooth < LOOKS and not context.deadline.passed:
        candidate = _candidate(context, comparison, seen)
        if candidate is None:
            return
        seen.add(candidate)
        look = examine(context, comparison.probes[candidate])
        if look.excuse:
            comparison.excuses[candidate] = look.excuse
            continue
        if look.corner is not None:
            comparison.corners[candidate] = look.corner
        smooth += 1
        if look.derivative.bar < comparison.bars[candidate] or not comparison.numeric[candidate].isfinite():
            comparison.numeric[candidate], comparison.bars[candidate] = look.derivative.value, look.derivative.bar
        if candidate in comparison.suspects(context.settings.bands[0]):
            comparison.confirmed.add(candidate)
            if band(comparison.ratio(candidate), context.settings.bands) is Verdict.WRONG:
                return


def _candidate(context: Context, comparison: Comparison, seen: set[int]) -> int | None:
    """The probe to look at next: the worst suspect, else the widest bar while the bars are too wide to certify."""
    low = context.settings.bands[0]
    suspects = [i for i in comparison.suspects(low) if i not in seen]
    if suspects:
        return suspects[0]
    judgement = comparison.judged(context)
    # Only noise makes a bar that is wider than a gradient of zero: anything wider is a jump, or bends too much.
    loud = LOUD * context.noise / context.step
    zero = judgement.reason == "zero gradient" and bool((comparison.bars[comparison.kept()] <= loud).all())
    settled = judgement.verdict is Verdict.GOOD or zero or comparison.confirmed
    if settled or (judgement.error_bar <= low and comparison.numeric[comparison.kept()].isfinite().all()):
        return None
    unseen = [i for i in comparison.kept().tolist() if i not in seen]
    return max(unseen, key=lambda i: float(comparison.bars[i]), default=None)


def verdict(context: Context, comparison: Comparison) -> Judgement:
    """The judgement on the leaf: that of all probes together, or of one proven wrong on its own."""
    overall = comparison.judged(context)
    worst = max((band(comparison.ratio(i), context.settings.bands) for i in comparison.confirmed), default=Verdict.GOOD)
    if worst > overall.verdict or (worst is overall.verdict is Verdict.SUSPICIOUS):
        return Judgement(overall.relative_error, overall.error_bar, worst, True)
    return overall
