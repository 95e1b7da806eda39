"""The training loop of one seed, with the sentinel before each optimizer step."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.training import Failure, TrainingReport
from pytest_gradcheck.training import rules
from pytest_gradcheck.training.blame import bad_parameter, blame, input_facts, seen_late
from pytest_gradcheck.training.cause import Scene, explain
from pytest_gradcheck.training.entries import Entries
from pytest_gradcheck.training.feed import describe
from pytest_gradcheck.training.inquest import inquire
from pytest_gradcheck.training.objective import class_count, forward, objective
from pytest_gradcheck.training.optimizers import set_rate
from pytest_gradcheck.training.plan import unrepeatable
from pytest_gradcheck.training.raising import raised
from pytest_gradcheck.training.reach import reach
from pytest_gradcheck.training.reader import Reader
from pytest_gradcheck.training.replay import Replay, Root
from pytest_gradcheck.training.sentinel import Look
from pytest_gradcheck.training.state import StepState
from pytest_gradcheck.training.verdicts import collapsed, counted_gradients, underfit
from pytest_gradcheck.training.watching import Watching

if TYPE_CHECKING:
    from pytest_gradcheck.training.feed import Batch, Feed
    from pytest_gradcheck.training.plan import Plan
    from pytest_gradcheck.training.sentinel import Reading

#: Steps in a row that float16's loss scaling may skip: from its start at 65536 that leaves a scale of 256.
SKIPS = 8


class Loop:
    """Runs the steps of one seed and collects the curves.

    Args:
        plan: What to run.
        model: The model, on its device.
        optimizer: Of its parameters.
        feed: Its batches.
        until: Moment of `time.perf_counter` after which the run ends early, and goes unexplained: a trial.

    Attributes:
        loss: Of every step whose reading is known; so is `gradient_norm`. `learning_rate` is of every step.
        failure: What ended the run, or None.
        inexact: Whether the failure was seen late, or by a thin look only, so that it may have begun earlier.
        skipped: Steps that float16's loss scaling skipped.
        interrupted: Whether Ctrl-C ended the run.
        batch: The last batch.
        state: What the last forward may have changed, as it was before.
    """

    def __init__(
        self,
        plan: Plan,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        feed: Feed,
        until: float | None = None,
    ) -> None:
        self._net, model = plan.team.wrapped(model), plan.team.bare(model)
        self.plan, self.model, self.optimizer, self.feed = plan, model, optimizer, feed
        self._until = until
        self.batch: Batch | None = None
        self.loss: list[float] = []
        self.gradient_norm: list[float] = []
        self.learning_rate: list[float] = []
        self.failure: Failure | None = None
        self.interrupted = self.inexact = False
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._home = self._parameters[0].device.type
        self._scaler = torch.amp.GradScaler(self._home) if plan.amp is torch.float16 else None
        self.skipped = self._in_a_row = 0
        self._classes: int | None = None
        self.state = StepState(model)
        # GradScaler waits for the device in every step anyway
        reader = Reader() if self._scaler else plan.reader() if plan.reader else None
        least = Look.THIN if self._scaler or unrepeatable(plan) else Look.LOSS
        self._watching = Watching(model, plan.max_overhead, plan.limits, reader, plan.grace, least)
        self._late = self._watching.sentinel.late
        self._replayable = True
        self._entries, self._tame = Entries(model), False
        self._start: tuple[float, str] = (0.0, "")

    def run(self) -> None:
        """Train until the steps are done or something fails."""
        self._net.train()
        try:
            for step in range(self.plan.steps):
                self.failure = self._step(step)
                if self.failure or (self._until is not None and time.perf_counter() > self._until):
                    return
            self.failure = self._judged(self._watching.sentinel.rest())
            if self.failure:
                return
        except KeyboardInterrupt:
            self._judged(self._watching.sentinel.rest())
            self.interrupted = True
            return
        finally:
            self._watching.stop()
            self._net = self.model
        limits, losses = self.plan.limits, self.plan.team.mean(self.loss)
        self._watching.chart.note(rules.at_end(losses, limits))
        if self._until is None:
            self._look_for_loose_ends()
        failure = self._moved_badly() or (underfit(losses, limits) if self.plan.overfit else self._collapsed(losses))
        self.failure = self.plan.team.verdict(failure and explain(self._scene(failure)))

    def _look_for_loose_ends(self) -> None:
        """Note what is not trained though it was meant to be: given to no optimizer, or cut off from the loss."""
        chart, last = self._watching.chart, len(self.loss) - 1
        chart.note(rules.of_left_out(self._watching.left_out(), last))
        batch, lost = self.batch, self._watching.unreached()
        if batch is not None and not self.plan.team.notes:
            found = reach(self.model, lost, lambda: self._forward(batch, last), self._watching.budget)
            chart.note(rules.of_reach(found))

    def report(self, seed: int, seconds: float) -> TrainingReport:
        """What there is to say about this seed so far."""
        plan, done = self.plan, len(self.gradient_norm)
        return TrainingReport(
            model=type(self.model).__name__,
            parameters=sum(parameter.numel() for parameter in self._parameters),
            data=describe(plan.batches),
            device=str(self.feed.home),
            optimizer=type(self.optimizer).__name__,
            seed=seed,
            steps=plan.steps,
            loss=self.loss[:done],
            gradient_norm=self.gradient_norm,
            learning_rate=self.learning_rate[:done],
            clip=plan.clip,
            amp=None if plan.amp is None else str(plan.amp).removeprefix("torch."),
            seconds=seconds,
            failure=self.failure,
            health=self._watching.health(),
            interrupted=self.interrupted,
            notes=(
                *plan.team.notes,
                *([f"float16's loss scaling skipped {self.skipped} steps"] if self.skipped else []),
            ),
        )

    def _step(self, step: int) -> Failure | None:
        self.learning_rate.append(set_rate(self.optimizer, self.plan.lr, step))
        with self.plan.team.alike():
            self.batch = batch = self.feed.next()
        how = self._watching.before(step, last=step == self.plan.steps - 1)
        # without it the run is repeated from its seed: by the time a late reading comes, the parameters have moved
        self._replayable = how > Look.LOSS and not self._late
        if self._replayable:
            with self._watching.budget.charge("state"):
                self.state.take()
        self.model.zero_grad(set_to_none=True)
        try:
            loss = self._first(batch) if step == 0 else self._run_forward(batch, step)
        except UsageProblem as error:
            return self._raised(error, batch, step)
        self._backward(loss, step)
        failure = self.plan.team.verdict(self._judged(self._watching.after(step, loss, self.optimizer)))
        if failure is None:
            self._update()
        return failure

    def _run_forward(self, batch: Batch, step: int) -> torch.Tensor:
        with self.plan.team.alike():
            return self._forward(batch, step, self._net)

    def _first(self, batch: Batch) -> torch.Tensor:
        """The first step's forward, in which what the first layers are given is seen: this waits for the device."""
        with Entries(self.model) as self._entries:
            loss = self._run_forward(batch, 0)
        self._start = self._entries.facts(batch)
        self._tame = self._entries.tame(batch, self.plan.limits.input)
        return loss

    def _raised(self, error: UsageProblem, batch: Batch, step: int) -> Failure:
        """The failure of a step whose forward or loss raised over a number that was not finite by then.

        Raises:
            UsageProblem: Every number was finite: the error itself is what is wrong.
        """
        cause, found = error.__cause__, None
        if cause is not None and self._replayable and not self.plan.team.notes:
            found = raised(cause, step, batch, self.model, self.state, lambda: self._forward(batch, step))
        if found is None:
            raise error
        self.loss.append(math.nan)
        self.gradient_norm.append(math.nan)
        return explain(self._scene(*found))

    def _judged(self, readings: list[Reading]) -> Failure | None:
        return next(filter(None, map(self._judge, readings)), None)

    def _judge(self, reading: Reading) -> Failure | None:
        step = reading.step
        self.loss.append(reading.loss)
        self.gradient_norm.append(reading.total)
        if step == 0:
            classes = self._classes if self.plan.loss is None else None
            self._watching.chart.guessing = math.log(classes) if classes else math.inf
            self._watching.chart.note(rules.at_start(reading.loss, classes, *self._start, self.plan.limits))
        if reading.healthy:
            self._in_a_row = 0
            self._watching.note(reading, self.learning_rate[step], self.plan.clip)
            return None
        if self._may_skip(reading, step):
            return None
        if not self._replayable:
            self.inexact = True
            return explain(self._scene(seen_late(reading, len(self.learning_rate) - 1)))
        assert self.batch is not None
        batch = self.batch
        failure = blame(step, reading, batch, self.model, self.state, lambda: self._repeat(batch, step))
        self.inexact = failure.phase == "optimizer" and not self._read_in_full(failure.step)
        return self._explain(failure, batch, reading.loss)

    def _repeat(self, batch: Batch, step: int) -> torch.Tensor | None:
        return self._forward(batch, step) if self.plan.team.may_replay(self.model) else None

    def _read_in_full(self, step: int) -> bool:
        return math.isfinite(self.gradient_norm[step])

    def _explain(self, failure: Failure, batch: Batch, loss: float) -> Failure:
        """The failure with the operation and the line that a replay of the step finds, and with its cause."""
        if self._until is not None:
            return failure  # a trial: only whether it fails is asked
        if not self.plan.team.may_replay(self.model):
            return explain(self._scene(failure))
        scale = None if self._scaler is None else torch.tensor(self.scale, device=self._home)
        failure, seen = inquire(
            failure,
            loss,
            self.model,
            self.state,
            lambda: [Root(self._forward(batch, failure.step).sum(), scale)],
        )
        in_float32 = self._in_float32(batch, failure.step) if seen and self.plan.amp else None
        return explain(self._scene(failure, seen, in_float32))

    def _scene(self, failure: Failure, seen: Replay | None = None, in_float32: float | None = None) -> Scene:
        largest, span = self.input_facts()
        largest = 0.0 if self._tame else largest
        chart = self._watching.chart
        warning = chart.health(0.0).warning
        return Scene(failure, seen, largest, span, chart.updates, in_float32, self.plan.limits, warning)

    @property
    def scale(self) -> float:
        """What the loss is multiplied with before backward."""
        return 1.0 if self._scaler is None else float(self._scaler.get_scale())

    def input_facts(self) -> tuple[float, str]:
        """The largest magnitude in the inputs of the last batch, and their range in words."""
        return (0.0, "") if self.batch is None else input_facts(self.batch)

    def _in_float32(self, batch: Batch, step: int) -> float:
        self.state.restore()
        with torch.no_grad(), torch.autocast(self._home, enabled=False):
            outputs = forward(self.model, batch, step)
            return float(objective(self.plan.loss, outputs, batch.targets, step, differentiable=False))

    def _forward(self, batch: Batch, step: int, net: nn.Module | None = None) -> torch.Tensor:
        with torch.autocast(self._home, dtype=self.plan.amp, enabled=self.plan.amp is not None):
            # A module's truth is its length, which a container may lack and a compiled one raises.
            outputs = forward(self.model if net is None else net, batch, step)
            loss = objective(self.plan.loss, outputs, batch.targets, step)
        if self._classes is None:
            self._classes = class_count(outputs, batch.targets)
        return loss

    def _backward(self, loss: torch.Tensor, step: int) -> None:
        total = loss.sum()  # of one element: the sum only drops the dimensions that a loss may have
        try:
            torch.autograd.backward(total if self._scaler is None else self._scaler.scale(total))
        except Exception as error:
            self.plan.team.blamed(error)
            raise UsageProblem(f"the backward raised {type(error).__name__} at step {step}: {error}") from error
        if self._scaler is not None:
            self._scaler.unscale_(self.optimizer)

    def _update(self) -> None:
        if self.plan.clip is not None:
            if any(item.grad is not None and item.grad.is_sparse for item in self._parameters):
                raise UsageProblem("clip was given, but torch clips no sparse gradients: drop it, or sparse=True")
            nn.utils.clip_grad_norm_(self._parameters, self.plan.clip)
        try:
            if self._scaler is None:
                self.optimizer.step()
            else:
                self._scaler.step(self.optimizer)
                self._scaler.update()
        except Exception as error:
            self.plan.team.blamed(error)
            kind, at = type(self.optimizer).__name__, len(self.learning_rate) - 1
            raise UsageProblem(f"the step of {kind} raised {type(error).__name__} at step {at}: {error}") from error

    def _may_skip(self, reading: Reading, step: int) -> bool:
        """Whether this is float16's scaling looking for its scale: gradients overflow, and the step is skipped."""
        if self._scaler is None or not math.isfinite(reading.loss):
            return False
        self.skipped += 1
        self._in_a_row += 1
        never_moved = self.skipped == self.plan.steps == step + 1
        return self._in_a_row < SKIPS and not never_moved

    def _moved_badly(self) -> Failure | None:
        bad = bad_parameter(self.model)
        if bad is None:
            return None
        name, kind = bad
        self.inexact = not self._read_in_full(-1)
        said = "every gradient of this step was finite: the update itself overflowed"
        evidence = () if self.inexact else (said,)
        return Failure(
            self.plan.steps - 1, "optimizer", "parameter", kind, name.rpartition(".")[0], name, evidence=evidence
        )

    def _collapsed(self, losses: list[float]) -> Failure | None:
        grads = counted_gradients(self.model, self._entries.names)
        labels = self.batch.targets if self.batch else None
        samples = labels.numel() if isinstance(labels, torch.Tensor) else 0
        return collapsed(losses, self._classes, grads, self.plan.limits, samples)
