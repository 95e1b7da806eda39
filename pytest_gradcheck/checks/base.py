"""What every check is given, and what it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, TensorCheck
from pytest_gradcheck.numerics.directions import generator, inner, signed
from pytest_gradcheck.numerics.noise import Noise, function_noise
from pytest_gradcheck.numerics.stencil import calibrated, richardson, sweep
from pytest_gradcheck.settings import Settings
from pytest_gradcheck.subjects.subject import Gradients, Leaf, Subject

#: Error bar, relative to the slope, that lets the slope at large steps speak for a float32 island.
TIGHT = 1e-4


@dataclass
class Outcome:
    """What a check found: verdicts on tensors, and findings."""

    tensors: list[TensorCheck] = field(default_factory=list)
    second_order: list[TensorCheck] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Check(Protocol):
    """One question about a subject."""

    name: str

    def run(self, context: Context) -> Outcome:
        """Answers the question; the subject's leaves are where they were when it returns."""


@dataclass(frozen=True)
class Deadline:
    """The moment after which no new measurement starts; `inf` for never."""

    at: float = float("inf")

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self.at


class Context:
    """A subject at one point with one random cotangent: its outputs, its gradient and its noise, each computed once."""

    def __init__(self, subject: Subject, settings: Settings, deadline: Deadline, spread: float = 0.0) -> None:
        self.subject = subject
        self.settings = settings
        self.deadline = deadline
        #: Largest change of the objective between two equal evaluations; the determinism check measures it.
        self.spread = spread
        #: Positions of the outputs without a graph; `baseline` finds them.
        self.without_graph: list[int] = []

    @cached_property
    def baseline(self) -> list[torch.Tensor]:
        """The outputs, detached.

        Raises:
            UsageProblem: No output holds floating or complex numbers.
        """
        found = self.subject.evaluate()
        self.without_graph = [k for k, output in enumerate(found) if not output.requires_grad]
        outputs = [output.detach().clone() for output in found]
        if not outputs:
            raise UsageProblem(f"{self.subject.name} returned no floating or complex tensor: there is nothing to check")
        return outputs

    @cached_property
    def finite(self) -> bool:
        """Whether every output element is a finite number at the point of the check."""
        return all(bool(output.isfinite().all()) for output in self.baseline)

    @cached_property
    def cotangents(self) -> list[torch.Tensor]:
        """A random signed cotangent per output; zero where the output is not finite, which has no derivative.

        A single real number gets the cotangent 1, so that its gradient reads as the textbook writes it.
        """
        if len(self.baseline) == 1 and self.baseline[0].numel() == 1 and not self.baseline[0].is_complex():
            return [self.baseline[0].isfinite().to(self.baseline[0].dtype)]
        source = generator(self.settings.seed, "cotangent")
        drawn = [signed(output, source) for output in self.baseline]
        for k in self.without_graph if self._marked else ():
            drawn[k] = torch.zeros_like(drawn[k])
        return [torch.where(o.isfinite(), v, 0) for o, v in zip(self.baseline, drawn, strict=True)]

    @property
    def _marked(self) -> bool:
        """Whether outputs without a graph are so on purpose: a Function's are only by `mark_non_differentiable`."""
        return self.subject.function is not None and len(self.without_graph) < len(self.baseline)

    @cached_property
    def gradients(self) -> Gradients:
        """The vjp of the cotangents from autograd."""
        return self.subject.gradients(self.cotangents)

    def objective(self) -> float:
        """`Re <v, f>` at the leaves' present values, less its value at the point of the check."""
        return self.subject.objective(self.baseline, self.cotangents)

    @property
    def noise(self) -> float:
        """The error of one value of the objective: measured, and at least the rounding of the outputs."""
        return self._noises.coarse if self._coarse else self._noises.fine

    @cached_property
    def _coarse(self) -> bool:
        """Whether what looks smooth at the smallest steps is a part frozen in lower precision (a float32 island).

        Noise that shows at larger steps only may also be kinks or a fast oscillation, which larger steps must not
        average away. Autograd decides: where it agrees with the slope at large steps, tightly, and not with that at
        small ones, it has seen through the rounding. A wrong gradient agrees with neither.
        """
        fine, coarse = self._noises
        if self.settings.mode == "central" or coarse <= 8 * fine:
            return False
        tangents = self.directions("joint")
        gradients = zip(self.subject.leaves, self.gradients.values, strict=True)
        claimed = sum(inner(gradient, tangents[leaf]) for leaf, gradient in gradients)
        with self.subject.along(tangents, self.objective) as line:
            near, far = sweep(line, fine), sweep(line, coarse)
        tight = far.bar <= TIGHT * abs(far.value)
        certified = near.bar <= self.settings.bands[0] * abs(near.value)
        near_too = certified and abs(near.value - claimed) <= 3 * near.bar
        return tight and abs(far.value - claimed) <= 3 * far.bar and not near_too

    @cached_property
    def _noises(self) -> Noise:
        unit = torch.finfo(self.baseline[0].dtype).eps / 2
        pairs = zip(self.cotangents, self.baseline, strict=True)
        rounding = unit * math.hypot(*(float((v * output)[v != 0].abs().norm()) for v, output in pairs))
        tangents = self.directions("noise")
        for leaf, tangent in tangents.items():
            tangent.mul_(max(1.0, float(leaf.origin.abs().max()) if leaf.origin.numel() else 1.0))
        with self.subject.along(tangents, self.objective) as line:
            found = function_noise(line)
        least = max(rounding, self.spread)
        return Noise(max(least, found.fine), max(least, found.coarse))

    @cached_property
    def _calibration(self) -> tuple[float, bool]:
        """The step for all probes, and whether even the best step's cheap bar cannot certify the lower band.

        Decided once, along a joint direction of all leaves; the scale is the gradient's norm, because the derivative
        along one direction may be small by chance.
        """
        eps, noise, low = self.settings.eps, self.noise, self.settings.bands[0]
        with torch.no_grad():
            scale = math.hypot(*(float(value.norm()) for value in self.gradients.values))
        if self.settings.mode == "central" or not scale > noise / low:
            return eps, False
        with self.subject.along(self.directions("joint"), self.objective) as line:
            if richardson(line, eps, noise).bar <= low * scale:
                return eps, False
            best = calibrated(line, noise)
        fits = best.bar <= low * scale
        return (best.step if fits else eps), not fits

    @property
    def step(self) -> float:
        """The central step that suits the subject: `eps`, unless the joint direction asks for another."""
        return self._calibration[0]

    @property
    def rough(self) -> bool:
        """Whether every probe needs a sweep: the function is too noisy, or bends too much, for two steps."""
        return self._calibration[1]

    def directions(self, *words: object) -> dict[Leaf, torch.Tensor]:
        """A random signed tangent per leaf, reproducible from the seed and the words."""
        return {
            leaf: signed(leaf.tensor, generator(self.settings.seed, *words, leaf.name, leaf.kind))
            for leaf in self.subject.leaves
        }


def names(items: Sequence[str], most: int = 3) -> str:
    """A short list of names for a message."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
