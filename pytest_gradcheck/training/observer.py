"""What `watch` gives: the steps of somebody's loop as they were seen, and the verdict on them."""

from __future__ import annotations

import contextlib
import math
import re
import time
import unittest
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import nn

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.model.training import Failure, TrainingReport
from pytest_gradcheck.training import rules
from pytest_gradcheck.training.blame import bad_parameter, blame, input_facts, seen_late
from pytest_gradcheck.training.calls import KEPT, Calls
from pytest_gradcheck.training.cause import Scene, explain
from pytest_gradcheck.training.feed import Batch
from pytest_gradcheck.training.inquest import inquire
from pytest_gradcheck.training.numbers import real_values, values_of
from pytest_gradcheck.training.raising import raised
from pytest_gradcheck.training.reach import Reach, reach
from pytest_gradcheck.training.sentinel import Look
from pytest_gradcheck.training.state import StepState
from pytest_gradcheck.training.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Health
    from pytest_gradcheck.training.reader import Reader
    from pytest_gradcheck.training.replay import Replay
    from pytest_gradcheck.training.sentinel import Reading

#: Steps in a row that a GradScaler may skip: from its start at 65536 that leaves a scale of 256.
SKIPS = 8
#: What errors speak of that have another reason than a number.
_FORM = re.compile(r"\b(shapes?|sizes?|dim(ension)?s?|index|d?types?|devices?|memory)\b", re.IGNORECASE)


class Observer:
    """The steps of a watched loop.

    Attributes:
        loss: What backward was called on before each step (the sum, where it was called several times); nan where it
            was not seen.
        gradient_norm: Euclidean norm over the gradients of the optimizer that stepped; nan where it was not read.
        learning_rate: Of its first parameter group.
        failure: What went wrong first, or None.
        skipped: Steps that the GradScaler skipped.
    """

    def __init__(
        self,
        model: nn.Module,
        scaler: torch.amp.GradScaler | None,
        limits: Limits,
        share: float | None,
        reader: Reader | None,
        stop: bool,
        given: Sequence[torch.optim.Optimizer] = (),
    ) -> None:
        self.loss: list[float] = []
        self.gradient_norm: list[float] = []
        self.learning_rate: list[float] = []
        self.failure: Failure | None = None
        self.skipped = self._in_a_row = self.steps = 0
        self._model, self._scaler, self._limits, self._stop = model, scaler, limits, stop
        self._given = given
        self._watching = Watching(model, share, limits, reader, least=Look.THIN)
        self._state = StepState(model)
        self._state.take()
        self._calls = Calls(model, self._begin)
        self._losses: list[torch.Tensor] = []
        self._roots: list[torch.autograd.graph.Node] = []
        self._graphs = self._roots
        self._last: torch.Tensor | None = None
        self._names: dict[str, None] = {}
        self._start = time.perf_counter()

    @property
    def health(self) -> Health:
        """Gradients by parameter, step and depth, update ratios, and the health rules that were broken."""
        return self._watching.health()

    def report(self) -> TrainingReport:
        """All of it as plain data."""
        named, done = self._watching.named, len(self.loss)
        return TrainingReport(
            model=type(self._model).__name__,
            parameters=sum(parameter.numel() for _, parameter in named),
            data="the watched loop's own",
            device=str(named[0][1].device),
            optimizer=", ".join(self._names) or "none has stepped",
            seed=torch.initial_seed(),
            steps=done,
            loss=list(self.loss),
            gradient_norm=list(self.gradient_norm),
            learning_rate=self.learning_rate[:done],
            seconds=time.perf_counter() - self._start,
            failure=self.failure,
            health=self.health,
            notes=(f"the GradScaler skipped {self.skipped} steps",) if self.skipped else (),
            rerun="the loop itself, from its seed",
        )

    def __str__(self) -> str:
        return str(self.report())

    def saw_backward(self, loss: torch.Tensor) -> None:
        """Note what backward is called on."""
        if loss.numel() == 1 and self.failure is None:
            self._losses.append(loss.detach().reshape(()))
            self._roots += [] if loss.grad_fn is None else [loss.grad_fn]
            del self._roots[:-KEPT]

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Look at the gradients that an optimizer is about to use.

        Raises:
            TrainingFailure: A number is not finite, and the observer was told to stop the loop.
        """
        if self.failure is None:
            found = getattr(optimizer, "found_inf", None)  # fused optimizers are told here to skip
            if found is not None and bool(found):
                self.skipped_step(optimizer)
            else:
                self._in_a_row = 0
                self._look(optimizer)

    def skipped_step(self, optimizer: torch.optim.Optimizer) -> None:
        """A GradScaler skipped a step: fine while it looks for its scale, a failure when it goes on."""
        if self.failure is not None:
            return
        self.skipped += 1
        self._in_a_row += 1
        loss = self._total()
        if self._in_a_row >= SKIPS or not math.isfinite(float(loss)):
            self._look(optimizer)
            return
        self.loss.append(float(loss))
        self.gradient_norm.append(math.nan)
        self._advance(optimizer)

    def finish(self) -> None:
        """The loop is over: read what is still on its way, and the weights after the last step.

        Raises:
            TrainingFailure: As `before_step`.
        """
        self._judge(self._watching.rest())
        self._watching.chart.note(rules.at_end(self.loss, self._limits))
        if self.failure is None:
            self._look_for_loose_ends()
        bad = bad_parameter(self._model) if self.failure is None and self.steps else None
        if bad:
            name, kind = bad
            owner = name.rpartition(".")[0]
            self._fail(Failure(self.steps - 1, "optimizer", "parameter", kind, owner, name))

    def broke(self, error: Exception) -> None:
        """The loop raised: where that was over a number that was not finite by then, the number is the failure.

        Raises:
            TrainingFailure: Where it is so, and the observer was told to stop the loop.
        """
        if self.failure is not None or not len(self._calls) or self._watching.sentinel.late or _in_company():
            return
        spoilt = self._calls.spoilt
        if isinstance(error, unittest.SkipTest) or not (spoilt or self._calls.raised):
            return
        with self._put_back():
            batch = Batch(tuple(self._calls.inputs), None)
            over = spoilt and _may_be_over_numbers(error)
            found = raised(error, self.steps, batch, self._model, self._state, self._calls.again, over)
        if found is not None:
            self.loss.append(math.nan)
            self.gradient_norm.append(math.nan)
            self._fail(self._caused(*found))

    def close(self) -> None:
        """Stop watching."""
        self._calls.close()
        self._watching.stop()
        self._let_go()

    def _let_go(self) -> None:
        """Hold no graph any longer."""
        self._losses, self._roots, self._graphs = [], [], []

    def _look_for_loose_ends(self) -> None:
        """Note what is not trained though it was meant to be: given to no optimizer, or cut off from the loss."""
        chart, last = self._watching.chart, self.steps - 1
        chart.note(rules.of_idle(self._watching.idle(), last))
        chart.note(rules.of_left_out(self._watching.left_out(self._given), last))
        found = self._detached()
        chart.note(rules.of_reach(found))

    def _detached(self) -> Reach:
        """Layers that no gradient reached, although outputs that got one depend on them."""
        lost = self._watching.unreached() if len(self._calls) and not _in_company() else []
        if not lost:
            return Reach([], [])  # and nothing is run, nor written to

        def outputs() -> torch.Tensor:
            """What the loss becomes with these outputs, to first order: their plain sum is constant after a softmax."""
            roots = [(root.tensor, root.grad) for root in self._calls.again() if root.grad is not None]
            weighted = [_product(tensor, grad) for tensor, grad in roots if bool(values_of(grad).any())]
            return torch.stack(weighted).sum()

        with self._put_back():
            return reach(self._model, lost, outputs, self._watching.budget)

    def _begin(self) -> None:
        if self.failure is None:
            self._watching.before(self.steps)
            with self._watching.budget.charge("state"):
                self._state.take()

    def _look(self, optimizer: torch.optim.Optimizer) -> None:
        loss = self._total()
        readings = self._watching.after(self.steps, loss, optimizer)
        self._graphs = self._roots
        self._advance(optimizer)
        try:
            self._judge(readings)
        finally:
            self._graphs = []  # or a loop that retains its graphs would hold two

    def _advance(self, optimizer: torch.optim.Optimizer) -> None:
        rate = optimizer.param_groups[0]["lr"]
        comes = self._watching.sentinel.late and isinstance(rate, torch.Tensor)
        self.learning_rate.append(math.nan if comes else float(rate))
        self._names[type(optimizer).__name__] = None
        self._calls.stale()
        self._losses, self._roots = [], []
        self.steps += 1

    def _total(self) -> torch.Tensor:
        """The loss of this step: of the last one, where no backward was seen since (several optimizers, one loss)."""
        if self._losses:
            total = torch.stack([loss.float() for loss in self._losses]).sum()
            self._last = total if self._scaler is None else total / self._scaler.scale(torch.ones_like(total))
        return torch.zeros((), device=self._watching.named[0][1].device) if self._last is None else self._last

    def _judge(self, readings: list[Reading]) -> None:
        for reading in readings:
            if self.failure is not None:
                return
            self.loss.append(math.nan if self._last is None else reading.loss)
            self.gradient_norm.append(reading.total)
            if reading.rate is not None:
                self.learning_rate[reading.step] = reading.rate
            if reading.healthy:
                self._watching.note(reading, self.learning_rate[reading.step])
            elif self._watching.sentinel.late:
                self._fail(self._caused(seen_late(reading, self.steps - 1)))
            else:
                self._fail(self._explained(reading))

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._watching.stop()
        self._calls.close()
        self._let_go()
        if self._stop:
            report = self.report()
            raise TrainingFailure(str(report), report)

    def _explained(self, reading: Reading) -> Failure:
        batch = Batch(tuple(self._calls.inputs), None)
        alone = not (_in_company() and _waits_for_others(self._model))
        with self._put_back():
            again = self._calls.again if alone else lambda: None
            failure = blame(reading.step, reading, batch, self._model, self._state, again)
        if failure.quantity not in {"loss", "gradient"} or not len(self._calls):
            return self._caused(failure)
        loss_of = self._calls.made_of(self._graphs) if self._calls.complete else []
        kind = self._calls.bad_gradient() if failure.phase == "backward" else None
        if kind:
            said = f"the gradient that the loss sent back into the model is already {kind}: its derivative is to blame"
            failure = replace(failure, module=None, evidence=(*failure.evidence, said))
            return self._caused(failure, loss_of=loss_of)
        return self._repeated(failure, loss_of) if alone else self._caused(failure, loss_of=loss_of)

    def _repeated(self, failure: Failure, loss_of: Sequence[str]) -> Failure:
        """The failure with what running the step's calls again shows; the loop's model and generators stay."""
        with self._put_back():
            sharpened, seen = inquire(failure, math.nan, self._model, self._state, self._calls.again)
        if seen and failure.phase == "forward" and seen.forward is None and math.isfinite(seen.loss):
            said = "the outputs of the model are finite: what the loop computes from them is to blame"
            if not self._calls.complete:
                said = f"of the step's forward calls the last {KEPT} were kept: run again, their outputs are finite"
            same = self._calls.same and self._calls.complete
            sharpened = replace(failure, module=None, reproduced=same, evidence=(said,))
            return self._caused(sharpened, seen, loss_of)
        if seen and sharpened.op:
            sharpened = replace(sharpened, reproduced=self._calls.same)
        return self._caused(sharpened, seen)

    @contextlib.contextmanager
    def _put_back(self) -> Iterator[None]:
        """Run calls again without noting them, and leave the model, its gradients and the generators."""
        now, grads = StepState(self._model, whole=True), [(item, item.grad) for item in self._model.parameters()]
        now.take()
        self._calls.paused = True
        try:
            with torch.enable_grad():
                yield
        finally:
            self._calls.paused = False
            now.restore()
            for item, grad in grads:
                item.grad = grad

    def _caused(self, failure: Failure, seen: Replay | None = None, loss_of: Sequence[str] = ()) -> Failure:
        chart = self._watching.chart
        largest, span = input_facts(Batch(tuple(self._calls.inputs), None))
        warning = chart.health(0.0).warning
        return explain(Scene(failure, seen, largest, span, chart.updates, None, self._limits, warning, loss_of))


def _product(tensor: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """The sum of products of an output's numbers with those of its gradient, in double precision."""
    numbers, weights = real_values(tensor).double(), real_values(grad).double()
    return (numbers * weights).sum() if numbers.shape == weights.shape else numbers.sum()


def _may_be_over_numbers(error: Exception) -> bool:
    """Whether a number may have raised it: not a key that is missing, a failed assertion, or a shape that is wrong."""
    return isinstance(error, (RuntimeError, ValueError, ArithmeticError)) and not _FORM.search(str(error))


def _waits_for_others(model: nn.Module) -> bool:
    """Whether a forward of this model talks to other ranks, which may have nothing to run again."""
    kinds = {base for module in model.modules() for base in type(module).__mro__}
    parallel = any(kind.__module__.startswith(("torch.distributed", "torch.nn.parallel")) for kind in kinds)
    return parallel or nn.SyncBatchNorm in kinds


def _in_company() -> bool:
    """Whether other ranks train along: one that runs a forward by itself would wait for them."""
    return dist.is_available() and dist.is_initialized()
