"""What a run's readings add up to: norms by step and parameter, update ratios, close looks, broken rules."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.model.run_health import Health, HealthSample, Update
from pytest_gradcheck.training import rules
from pytest_gradcheck.training.layers import near_zero
from pytest_gradcheck.training.moves import Moves
from pytest_gradcheck.training.sentinel import tensor_norms

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from torch import nn

    from pytest_gradcheck.model.health import Symptom
    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.training.sentinel import Named, Reading

#: Rows of gradient norms that are kept; where there are more, every other one goes.
_ROWS = 512
#: Step from which on a gradient that is exactly zero stays so: what starts at zero on purpose, such as an adapter or a
#: last layer, lets no gradient through before it has moved, and a rate that warms up may begin at zero too.
_STILL = 2
#: Steps by which readings may come late.
_LATE = 8


class Chart:
    """Collects a run's health.

    Plain SGD's update is the rate times the gradient, so its ratio is known in every step whose gradients were read;
    momentum is not counted, so it is a lower bound. What other optimizers do is measured in the steps that are looked
    at closely. Ratios are relative to the norms that weights had when watching began; tensors of less than two
    dimensions are left out, because biases start at or near zero, and so are weights that were made to start there.

    Args:
        named: The parameters that are trained, by name.
        limits: Where the health rules draw the line.

    Attributes:
        updates: Plain SGD's largest relative update of every step whose gradients were all read.
        moves: The updates of other optimizers.
        samples: The close looks.
        guessing: The loss of a classifier that knows nothing; infinite where the loss is not a classification's.
    """

    def __init__(self, named: Sequence[tuple[str, nn.Parameter]], limits: Limits) -> None:
        self._named, self._limits = named, limits
        self._rows: list[tuple[int, tuple[float, ...]]] = []
        self._initial: dict[str, float] = {}
        self.moves = Moves()
        self._found: dict[tuple[str, str | None, str], Symptom] = {}
        self.updates: list[Update] = []
        self.samples: list[HealthSample] = []
        self._first: float | None = None
        self.guessing = math.inf
        self._small: set[str] = set()
        self._groups: dict[int, dict[str, int]] = {}
        self._rates: dict[int, tuple[int, list[float]]] = {}

    def begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the norms of the weights that it moves; after the first forward, when lazy layers have theirs."""
        weights = self._weights(optimizer)
        norms = [norm.double() for norm in tensor_norms([item for _, item in weights])]
        values = torch.stack([norm.to(norms[0].device) for norm in norms]).tolist() if norms else []
        self._initial |= {
            name: norm
            for (name, weight), norm in zip(weights, values, strict=True)
            if norm > 0 and not near_zero(weight.shape, norm)
        }
        if type(optimizer) is torch.optim.SGD:
            places = {id(item): place for place, group in enumerate(optimizer.param_groups) for item in group["params"]}
            own = {name: places[id(item)] for name, item in self._named if id(item) in places}
            self._groups[id(optimizer)] = {name: own[name] for name, _ in weights}

    def watch_rates(self, step: int, optimizer: torch.optim.Optimizer, rates: list[float]) -> None:
        """Called before the optimizer's step: note the rates of its groups; none where they will come later."""
        if type(optimizer) is torch.optim.SGD:
            self._rates[step] = id(optimizer), rates
            if len(self._rates) > _LATE:
                del self._rates[next(iter(self._rates))]

    def rates_came(self, step: int, rates: list[float]) -> None:
        """Note the rates of a step that were not known before it."""
        if step in self._rates:
            self._rates[step] = self._rates[step][0], rates

    def watch_move(self, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Called before the optimizer's step: have its update measured, where it is not known anyway."""
        if type(optimizer) is not torch.optim.SGD:
            rate = optimizer.param_groups[0]["lr"]  # on an accelerator it is read when all is over
            self.moves.take(step, rate.clone() if isinstance(rate, torch.Tensor) else rate, self._weights(optimizer))

    def _weights(self, optimizer: torch.optim.Optimizer) -> Named:
        moved = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        return [(name, item.detach()) for name, item in self._named if item.dim() > 1 and id(item) in moved]

    def add(self, reading: Reading, rate: float, clip: float | None = None) -> None:
        """Note a step whose gradients were all read: their norms, its rate, and by how much clipping shrank them."""
        self._rows.append((reading.step, tuple(reading.norms.get(name, math.nan) for name, _ in self._named)))
        if len(self._rows) > _ROWS:
            self._rows = self._rows[::2]
        shrunk = min(1.0, clip / reading.total) if clip is not None and reading.total > 0 else 1.0
        key, rates = self._rates.pop(reading.step, (0, []))
        initial, norms, groups = self._initial, reading.norms, self._groups.get(key, {})
        names = [name for name in groups if name in norms and name in initial]
        # a group may have been taken away since
        own = [rates[groups[name]] if groups[name] < len(rates) else rate for name in names]
        ratios = [rate * shrunk * norms[name] / initial[name] for name, rate in zip(names, own, strict=True)]
        if ratios:
            largest = max(range(len(ratios)), key=ratios.__getitem__)
            self.updates.append(Update(reading.step, names[largest], ratios[largest], own[largest]))
            self.note(rules.of_updates(self.updates[-2:], self._limits))

    def add_sample(self, sample: HealthSample, loss: float, small: Collection[str] = ()) -> None:
        """Note a close look.

        Args:
            sample: What was seen.
            loss: The loss of its step.
            small: Names of layers whose weights are near zero.
        """
        self.samples.append(sample)
        self._first = loss if self._first is None else self._first
        self._small |= set(small)  # one that has begun to grow passes little on for long
        still = sample.step >= _STILL and loss != 0
        found = rules.of_layers(sample.layers, self._limits, self._small, still)
        if sample.step and rules.has_learned(loss, self._first, self.guessing):
            found = rules.of_learned(sample.layers, self._limits, still)
        self.note(replace(each, step=sample.step) for each in found)

    def note(self, symptoms: Iterable[Symptom]) -> None:
        """Keep each finding as it was first seen."""
        for each in symptoms:
            self._found.setdefault((each.rule, each.module, each.level), each)

    def health(self, overhead: float) -> Health:
        """All of it as plain data."""
        steps, rows = zip(*self._rows, strict=True) if self._rows else ((), ())
        return Health(
            parameters=tuple(name for name, _ in self._named),
            steps=tuple(steps),
            gradient=tuple(rows),
            updates=tuple(sorted((*self.updates, *self.moves.found(self._initial)), key=lambda each: each.step)),
            samples=tuple(self.samples),
            findings=tuple(sorted(self._found.values(), key=lambda each: each.step)),
            overhead=overhead,
        )
