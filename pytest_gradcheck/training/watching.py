"""Everything that watches the steps of one loop, from before a forward to before the optimizer's step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.training.budget import GRACE, Budget
from pytest_gradcheck.training.chart import Chart
from pytest_gradcheck.training.reach import unreached
from pytest_gradcheck.training.reader import Reader, reader_for
from pytest_gradcheck.training.sampling import Gathered, Sampler
from pytest_gradcheck.training.sentinel import Look, Named, Reading, Sentinel

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import nn

    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Health

#: What one close look is made of.
_PARTS = ("opening", "hooks", "gathering", "charting", "copying", "moves")
#: Close looks up to this step are not asked what they cost, so that short runs say the same on a busy machine.
_ALWAYS = 2


class Watching:
    """The sentinel, the close looks and the chart of one loop, within one budget.

    Args:
        model: The model.
        share: Share of the loop's time that the sentinel may take; close looks may take half of it besides. None allows
            every look.
        limits: Where the health rules draw the line.
        reader: How numbers get to the host; None takes what suits the model's device.
        grace: Seconds that are allowed in any case, for either.
        least: The thinnest look that is allowed.

    Attributes:
        named: The parameters that are trained, by name.
        chart: What was seen so far.
    """

    def __init__(
        self,
        model: nn.Module,
        share: float | None,
        limits: Limits,
        reader: Reader | None = None,
        grace: float = GRACE,
        least: Look = Look.LOSS,
    ) -> None:
        self.named = [(name, item) for name, item in model.named_parameters() if item.requires_grad]
        self.budget = Budget(share, grace)
        self._closely = Budget(None if share is None else share / 2, grace)
        self.sentinel = Sentinel(self.budget, reader or reader_for(self.named[0][1].device), least)
        self.chart = Chart(self.named, limits)
        self._sampler = Sampler(model, self.named, limits)
        self._open, self._how = False, Look.FULL
        self._gathered: dict[int, Gathered] = {}
        self._moved: dict[int, set[int]] = {}
        self._model, self._looked = model, set[int]()
        self._optimizers: dict[int, str] = {}
        self._reached: dict[int, tuple[str, torch.Tensor, int]] = {}
        self._unreached = list(self.named)
        self._sent: dict[int, int] = {}

    def before(self, step: int, last: bool = False) -> Look:
        """Called before a step's forward: looks closely at steps 0, 1, 2, and where allowed at 4, 8 ... and the last.

        Returns how closely the sentinel will look at the step.
        """
        self._measure_move()
        self._how = self.sentinel.choose()
        if step <= _ALWAYS or ((last or step & (step - 1) == 0) and self._closely.allows(*_PARTS)):
            with self._closely.charge("opening"):
                self._sampler.open()
                self._open, self._how = True, Look.FULL
        return self._how

    def after(self, step: int, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> list[Reading]:
        """Called after a step's backward, before the optimizer's step; returns the readings that are known by now."""
        if id(optimizer) not in self._moved:
            with self.budget.charge("weights"):
                self._moved[id(optimizer)] = {
                    id(parameter) for group in optimizer.param_groups for parameter in group["params"]
                }
                self.chart.begin(optimizer)
        if self._open or id(optimizer) not in self._optimizers:
            self._optimizers[id(optimizer)] = type(optimizer).__name__
            self._looked |= self._moved[id(optimizer)]
            self._unreached = list(self.named)  # since when they were moved by nobody is asked from here on
        self._note_reached()
        grads = self._grads(self._moved[id(optimizer)]) if self._how else []
        gathered = None
        if self._open:
            self._closely.add("hooks", self._sampler.seconds)
            with self._closely.charge("gathering"):
                gathered = self._gathered[step] = self._sampler.close(grads)
                self._open = False
            with self._closely.charge("copying"):
                self.chart.watch_move(step, optimizer)
        extra = self._with_rates(step, optimizer, gathered.values if gathered else None)
        return [self._received(each) for each in self.sentinel.look(step, loss, grads, extra, self._how)]

    def rest(self) -> list[Reading]:
        """The readings that have not been given yet."""
        return [self._received(each) for each in self.sentinel.rest()]

    def note(self, reading: Reading, rate: float, clip: float | None = None) -> None:
        """Add a healthy reading to the chart."""
        reading = self._received(reading)
        if not reading.full:
            return
        gathered = self._gathered.pop(reading.step, None)
        with self.budget.charge("chart"):
            self.chart.add(reading, rate if reading.rate is None else reading.rate, clip)
        if gathered and reading.extra is not None:
            with self._closely.charge("charting"):
                sample = gathered.sample(reading)
                self.chart.add_sample(sample, reading.loss, gathered.small(sample))

    def unreached(self) -> list[str]:
        """Layers that an optimizer moves and that got no gradient in any step."""
        self._note_reached()
        return unreached(self._model, self._reached, self._looked)

    def idle(self) -> list[tuple[str, list[str]]]:
        """Optimizers of whose parameters none got a gradient, with the parameters' names."""
        held = ((name, self._moved[key]) for key, name in self._optimizers.items())
        idle = ((name, keys) for name, keys in held if not keys & set(self._reached))
        return [(name, [each for each, item in self.named if id(item) in keys]) for name, keys in idle]

    def left_out(self, given: Collection[torch.optim.Optimizer] = ()) -> list[str]:
        """Parameters that got gradients, which no optimizer holds and nothing has moved since.

        Args:
            given: Optimizers that are known besides those that have stepped.
        """
        held = {id(item) for optimizer in given for group in optimizer.param_groups for item in group["params"]}
        held = held.union(*self._moved.values())
        return [name for key, (name, item, was) in self._reached.items() if key not in held and item._version == was]

    def stop(self) -> None:
        """Take every hook off."""
        self._measure_move()
        self._sampler.abandon()
        self._open = False

    def _measure_move(self) -> None:
        if self.chart.moves.waiting:
            with self._closely.charge("moves"):
                self.chart.moves.measure()

    def _note_reached(self) -> None:
        """Ask which of the parameters that never had a gradient have one now."""
        if self._unreached:
            found = ((name, item) for name, item in self._unreached if item.grad is not None)
            self._reached |= {id(item): (name, item, item._version) for name, item in found}
            self._unreached = [(name, item) for name, item in self._unreached if id(item) not in self._reached]

    def _with_rates(
        self, step: int, optimizer: torch.optim.Optimizer, extra: torch.Tensor | None
    ) -> torch.Tensor | None:
        """What is sent along, and with it the rates that lie on a device for which no step may wait."""
        rates = [group["lr"] for group in optimizer.param_groups]
        if not (self.sentinel.late and any(isinstance(rate, torch.Tensor) for rate in rates)):
            self.chart.watch_rates(step, optimizer, list(map(float, rates)))
            return extra
        self.chart.watch_rates(step, optimizer, [])
        home = self.named[0][1].device
        sent = [torch.as_tensor(rate, dtype=torch.float32, device=home).detach().reshape(()) for rate in rates]
        self._sent[step] = len(rates)
        return torch.stack(sent) if extra is None else torch.cat([extra.to(home), torch.stack(sent)])

    def _received(self, reading: Reading) -> Reading:
        """The reading with the rates that came with it, which the chart is told of."""
        count = self._sent.pop(reading.step, 0)
        if not count or reading.extra is None:
            return reading
        rates, extra = reading.extra[-count:].tolist(), reading.extra[:-count]
        self.chart.rates_came(reading.step, rates)
        return replace(reading, extra=extra, rate=rates[0])

    def _grads(self, moved: set[int]) -> Named:
        """The gradients of these parameters that there are, by name."""
        return [(name, item.grad) for name, item in self.named if item.grad is not None and id(item) in moved]

    def health(self) -> Health:
        """What was seen."""
        return self.chart.health(self.budget.overhead + self._closely.overhead)
