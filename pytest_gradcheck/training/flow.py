"""`gradient_flow`: one forward and one backward pass, and the health rules on what they show."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.health import GradientFlow, LayerFlow
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training import rules
from pytest_gradcheck.training.entries import Entries
from pytest_gradcheck.training.feed import Batch, Feed
from pytest_gradcheck.training.layers import Units, by_unit, facts_of, interesting, is_seen, near_zero, weight_of
from pytest_gradcheck.training.lazy import materialise
from pytest_gradcheck.training.numbers import norm_of, values_of
from pytest_gradcheck.training.objective import Loss, class_count, forward, objective
from pytest_gradcheck.training.plan import device_of
from pytest_gradcheck.training.reach import reach, unreached
from pytest_gradcheck.training.state import ModelState, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Rounds in which what starts at zero may open the way to the first layer, and how far each moves it.
_OPENING, _MOVE = 3, 1e-3


def gradient_flow(
    model: nn.Module,
    batch: Any,
    *,
    loss: Loss | None = None,
    limits: Limits | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> GradientFlow:
    """Send one batch forward and its gradient back, and judge how both change with depth.

    ReLU, tanh and sigmoid are seen where they are modules. Each layer is judged on its first call.

    Args:
        model: A module, in whatever state it is; it runs in train mode.
        batch: A pair `(inputs, targets)`, or a dict of arguments, as one item of a loader.
        loss: As for `train_smoke`.
        limits: Where the rules draw the line; None is `Limits()`.
        device: Where to compute; None leaves model and batch where they are, which must be one device.
        seed: Of torch's, numpy's and Python's generators, for dropout.

    Returns:
        The flow. The model (parameters, buffers, mode, gradients) and the generators are left bit for bit as they were.

    Raises:
        UsageProblem: As `train_smoke`: a batch that is no pair, labels out of range, a forward that raises.
    """
    parameters = [item for item in model.parameters() if item.requires_grad] if isinstance(model, nn.Module) else []
    if not parameters:
        raise UsageProblem(f"{type(model).__name__} is no nn.Module with trainable parameters: there is no gradient")
    where = device_of(device)
    feed = Feed([batch], where, where or parameters[0].device)
    with torch.inference_mode(False), torch.enable_grad():
        with seeded(seed):
            materialise(model, feed)
        state = ModelState(model)
        try:
            with seeded(seed):
                if where is not None:
                    model.to(where)
                model.train()
                return _Pass(model, feed.next(), loss, limits or Limits(), seed).flow()
        finally:
            state.restore()


class _Pass:
    """One forward and backward pass, and what has to be run again to understand it.

    Args:
        model: In train mode, on its device.
        batch: What it is sent.
        loss: The loss, or None for cross entropy.
        limits: Where the rules draw the line.
        seed: Of the generators, which are seeded.
    """

    def __init__(self, model: nn.Module, batch: Batch, loss: Loss | None, limits: Limits, seed: int) -> None:
        self._model, self._batch, self._loss, self._limits, self._seed = model, batch, loss, limits, seed

    def flow(self) -> GradientFlow:
        """The gradient flow. The model's state is another one afterwards."""
        model, limits = self._model, self._limits
        with _observed(model, limits) as seen, Entries(model) as entries:
            value, outputs = self._run()
        layers = tuple(_layer(name, module, facts) for name, module, facts in seen)
        lost = unreached(model, {id(item) for item in model.parameters() if item.grad is not None})
        classes = class_count(outputs, self._batch.targets) if self._loss is None else None
        small = [name for name, module, _ in seen if _starts_small(module)]
        found = reach(model, lost, self._value)  # before `_stays`, which moves parameters
        symptoms = (
            *rules.of_layers(layers, limits, small, still=self._stays(value, layers)),
            *rules.of_reach(found),
            *(rules.of_loss(value) if classes is None else ()),
            *rules.at_start(value, classes, *entries.facts(self._batch), limits),
        )
        return GradientFlow(type(model).__name__, value, layers, *rules.slopes(layers), symptoms)

    def _run(self) -> tuple[float, Any]:
        self._model.zero_grad(set_to_none=True)
        outputs = forward(self._model, self._batch, 0)
        value = objective(self._loss, outputs, self._batch.targets, 0)
        torch.autograd.backward(value)
        return float(value.detach()), outputs

    def _value(self) -> torch.Tensor:
        return objective(self._loss, forward(self._model, self._batch, 0), self._batch.targets, 0)

    def _stays(self, loss: float, layers: Sequence[LayerFlow]) -> bool:
        """Whether gradients that are exactly zero stay so: not where there is nothing to learn."""
        return loss != 0 and math.isfinite(loss) and not self._opens(layers)

    def _opens(self, layers: Sequence[LayerFlow]) -> bool:
        """Whether a gradient that is exactly zero becomes another one once what starts at zero has moved a little."""
        first = next((layer.module for layer in layers if layer.gradient is not None), None)
        weight = None if first is None else weight_of(self._model.get_submodule(first))
        for _ in range(_OPENING):
            zeros = [(item, item.grad) for item in self._model.parameters() if item.grad is not None]
            zeros = [(item, grad) for item, grad in zeros if _starts_at_zero(item, grad)]
            if weight is None or weight.grad is None or values_of(weight.grad).any() or not zeros:
                break
            with torch.no_grad():
                for item, grad in zeros:
                    item.sub_(grad / grad.norm() * _MOVE)
            with seeded(self._seed):
                self._run()
        return weight is not None and weight.grad is not None and bool(values_of(weight.grad).any())


def _starts_at_zero(parameter: torch.Tensor, grad: torch.Tensor) -> bool:
    return grad.layout is torch.strided and not bool(parameter.any()) and bool(grad.any())


def _starts_small(module: nn.Module) -> bool:
    weight = weight_of(module)
    return weight is not None and near_zero(weight.shape, float(torch.linalg.vector_norm(weight.detach().double())))


@contextlib.contextmanager
def _observed(model: nn.Module, limits: Limits) -> Iterator[list[tuple[str, nn.Module, dict[str, float]]]]:
    """Collect, in running order, what each interesting module puts out."""
    seen: list[tuple[str, nn.Module, dict[str, float]]] = []
    known: set[str] = set()
    units = Units()

    def look(name: str, module: nn.Module, output: Any) -> None:
        if name in known or not is_seen(output):
            return
        known.add(name)
        by = by_unit(output.detach(), units.axis(module, output))
        seen.append((name, module, facts_of(type(module), by, limits)))

    handles = []
    for name, module in interesting(model):
        hook = lambda module, _, output, name=name: look(name, module, output)  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _layer(name: str, module: nn.Module, facts: dict[str, float]) -> LayerFlow:
    weight = weight_of(module)
    norms: dict[str, float | None] = {"gradient": None, "weight": None}
    if weight is not None and weight.requires_grad:
        grad = weight.grad
        norms["gradient"] = None if grad is None else norm_of(grad)
        norms["weight"] = float(torch.linalg.vector_norm(weight.detach().double()))
    return LayerFlow(name, type(module).__name__, **norms, **facts)  # type: ignore[arg-type]
