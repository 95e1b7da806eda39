"""What every check is given, and what it answers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch

from pytest_gradcheck.checks.scale import Scale, measured
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Finding, TensorCheck
from pytest_gradcheck.numerics.directions import Tangent, generator, signed, weighted
from pytest_gradcheck.settings import Settings
from pytest_gradcheck.subjects.subject import Gradients, Leaf, Subject


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

    def half(self) -> Deadline:
        """The moment at which half of the time that is left will be over."""
        now = time.monotonic()
        return Deadline(now + max(0.0, self.at - now) / 2)


class Context:
    """A subject at one point with one random cotangent: its outputs, its gradient and its noise, each computed once."""

    def __init__(
        self,
        subject: Subject,
        settings: Settings,
        deadline: Deadline,
        spread: float = 0.0,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._progress = progress
        self.subject = subject
        self.settings = settings
        self.deadline = deadline
        #: Largest change of the objective between two equal evaluations; the determinism check measures it.
        self.spread = spread
        #: Whether batches of evaluations are possible; None while nobody has tried.
        self.batches: bool | None = None
        #: The same check beside its point, once `nearby` was asked for it, and which of its ways leads there.
        self.beside: Context | None = None
        self.way = 0
        #: The tensors whose gradient was found to be off by the checks so far.
        self.off: list[TensorCheck] = []
        #: Positions of the outputs without a graph; `baseline` finds them.
        self.without_graph: list[int] = []

    def tell(self, said: str) -> None:
        """Says what is being done to whoever follows a long check."""
        if self._progress is not None:
            self._progress(said)

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
            instead = f" but {self.subject.returned}" if self.subject.returned else ""
            raise UsageProblem(
                f"{self.subject.name} returned no floating or complex tensor{instead}: there is nothing to check"
            )
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

    @cached_property
    def scale(self) -> Scale:
        """The noise of the objective and the step that suits it."""
        return measured(self)

    @property
    def noise(self) -> float:
        """The error of one value of the objective: measured, and at least the rounding of the outputs."""
        return self.scale.noise

    @cached_property
    def rounding(self) -> float:
        """What rounding the outputs, and the numbers that are moved, makes of one value of the objective."""
        unit = torch.finfo(self.baseline[0].dtype).eps / 2
        pairs = zip(self.cotangents, self.baseline, strict=True)
        values = (float((v * output)[v != 0].abs().norm()) for v, output in pairs)
        gradients = zip(self.gradients.values, self.subject.leaves, strict=True)
        # A table of differences may miss the latter: steps that are multiples of a unit in the last place make none.
        places = (weighted(gradient, leaf.tensor) for gradient, leaf in gradients)
        return unit * math.hypot(*values, *(place for place in places if math.isfinite(place)))

    @property
    def step(self) -> float:
        """The central step that suits the subject: `eps`, unless the joint direction asks for another."""
        return self.scale.step

    @property
    def rough(self) -> bool:
        """Whether every probe needs a sweep: the function is too noisy, or bends too much, for two steps."""
        return self.scale.rough

    def directions(self, *words: object) -> dict[Leaf, Tangent]:
        """A random signed tangent per leaf, reproducible from the seed and the words."""
        return {
            leaf: Tangent(leaf.tensor, generator(self.settings.seed, *words, leaf.name, leaf.kind))
            for leaf in self.subject.leaves
        }


def names(items: Sequence[str], most: int = 3) -> str:
    """A short list of names for a message."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
