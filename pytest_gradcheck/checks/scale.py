"""How exactly the objective computes, and which step suits it: decided once, along one direction of all leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.numerics.directions import Tangent
from pytest_gradcheck.numerics.noise import coarse_noise, fine_noise
from pytest_gradcheck.numerics.stencil import UNKNOWN, Derivative, Line, calibrated, richardson, sweep

if TYPE_CHECKING:
    from pytest_gradcheck.checks.base import Context
    from pytest_gradcheck.subjects.subject import Leaf

#: Error bar, relative to the gradient, that lets the slope at large steps speak for a float32 island.
TIGHT = 1e-4
#: A step this much smaller crosses fewer kinks: tried where a large net's ReLUs come in between.
NEARER = 32


@dataclass(frozen=True)
class Scale:
    """What every measurement needs to know about the objective.

    Attributes:
        noise: The error of one value: measured, and at least the rounding of the outputs.
        step: The central step for all probes: `eps`, unless the joint direction asks for another.
        rough: Whether every probe needs a sweep: the function is too noisy, or bends too much, for two steps.
        claimed: What autograd claims along the joint direction.
        joint: The derivative along it at `step`.
    """

    noise: float
    step: float
    rough: bool
    claimed: float
    joint: Derivative


def measured(context: Context) -> Scale:
    """Twelve forward calls where the joint direction certifies at once, twenty beside kinks; else a sweep or two."""
    eps, low = context.settings.eps, context.settings.bands[0]
    rounding = max(context.rounding, context.spread)
    with context.subject.along(_relative(context), context.objective) as line:
        fine = max(fine_noise(line, rounding=rounding), rounding)
    size = math.hypot(*map(_norm, context.gradients.values))
    tangents = context.directions("joint")
    gradients = zip(context.subject.leaves, context.gradients.values, strict=True)
    claimed = sum(tangents[leaf].along(gradient) for leaf, gradient in gradients)
    if context.settings.mode == "central":
        return Scale(fine, eps, False, claimed, UNKNOWN)
    found: list[Derivative] = []
    with context.subject.along(tangents, context.objective) as line:
        for step in (eps, eps / NEARER, eps / NEARER**2):
            found.append(richardson(line, step, fine))
            if len(found) == 2 and found[0].bar <= low * size and _agree(*found):
                # Smooth at both steps: the gradient is what disagrees, and the larger step tells it more exactly.
                return Scale(fine, eps, False, claimed, found[0])
            bar = found[-1].bar
            # The bound is the gradient's norm, because the derivative along one direction may be small by chance; where
            # the gradient is no larger than noise, and noise is all there is, there is nothing to certify.
            certified = bar <= low * size or (size <= fine / low and bar <= 30 * fine / step)
            if certified and _agree(found[-1], Derivative(claimed, 0.0)):
                return Scale(fine, step, False, claimed, found[-1])
    return _doubtful(context, fine, claimed, size)


def _agree(one: Derivative, other: Derivative) -> bool:
    return abs(one.value - other.value) <= PROOF * (one.bar + other.bar)


def _doubtful(context: Context, fine: float, claimed: float, size: float) -> Scale:
    """The direct way did not certify: is it a part in lower precision, another step, or the gradient?"""
    eps, low = context.settings.eps, context.settings.bands[0]
    with context.subject.along(_relative(context), context.objective) as line:
        coarse = max(coarse_noise(line), fine)
    with context.subject.along(context.directions("joint"), context.objective) as line:
        island = coarse > 8 * fine and _island(line, (fine, coarse), claimed, TIGHT * size, low)
        noise = coarse if island else fine
        joint = richardson(line, eps, noise)
        best = calibrated(line, noise)
    size = max(size, abs(best.value)) if math.isfinite(best.value) else size
    # Beyond a pole two steps may agree with each other; the best of many must agree with them too.
    if joint.bar <= low * size and _agree(joint, best):
        return Scale(noise, eps, False, claimed, joint)
    if best.bar <= low * size:
        return Scale(noise, best.step, False, claimed, best)
    return Scale(noise, eps, True, claimed, joint)


def _island(line: Line, noises: tuple[float, float], claimed: float, tight: float, low: float) -> bool:
    """Whether what looks smooth at the smallest steps is a part frozen in lower precision (a float32 island).

    Noise that shows at larger steps only may also be kinks or a fast oscillation, which larger steps must not average
    away. Autograd decides: where it agrees with the slope at large steps, tightly, and not with that at small ones, it
    has seen through the rounding. A wrong gradient agrees with neither.
    """
    near, far = (sweep(line, noise) for noise in noises)
    certified = near.bar <= low * abs(near.value)
    near_too = certified and abs(near.value - claimed) <= 3 * near.bar
    return far.bar <= tight and abs(far.value - claimed) <= 3 * far.bar and not near_too


@torch.no_grad()
def _norm(gradient: torch.Tensor) -> float:
    """Its 2-norm, of the finite elements: what autograd says at the edge of a domain is no size of anything."""
    norm = float(gradient.norm())
    return norm if math.isfinite(norm) else float(gradient[gradient.isfinite()].norm())


def _relative(context: Context) -> dict[Leaf, Tangent]:
    """A tangent per leaf in units of its largest number, at least 1: noise shows in the last digits of numbers."""
    return {leaf: tangent.scaled(max(1.0, _largest(leaf))) for leaf, tangent in context.directions("noise").items()}


def _largest(leaf: Leaf) -> float:
    if not leaf.numel:
        return 0.0
    low, high = torch.aminmax(leaf.real())  # abs() would be a second tensor of the leaf's size
    return max(-float(low), float(high))
