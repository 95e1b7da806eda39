"""`gradient_flow`: one forward and one backward pass, and the health rules on what they show."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.health import GradientFlow, LayerFlow
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training import rules
from pytest_gradcheck.training.blame import input_facts
from pytest_gradcheck.training.feed import Feed
from pytest_gradcheck.training.layers import by_unit, facts_of, interesting, weight_of
from pytest_gradcheck.training.objective import Loss, class_count, forward, objective
from pytest_gradcheck.training.plan import device_of
from pytest_gradcheck.training.state import ModelState, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        batch: A pair `(inputs, targets)`, as one item of a loader.
        loss: Callable of outputs and targets that returns one floating number; None is cross entropy.
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
    state = ModelState(model)
    try:
        with torch.inference_mode(False), torch.enable_grad(), seeded(seed):
            if where is not None:
                model.to(where)
            model.train()
            model.zero_grad(set_to_none=True)
            pair = feed.next()
            with _observed(model, limits or Limits()) as seen:
                outputs = forward(model, pair, 0)
            value = objective(loss, outputs, pair.targets, 0)
            torch.autograd.backward(value)
            classes = class_count(outputs, pair.targets) if loss is None else None
            return _judged(model, float(value.detach()), seen, classes, input_facts(pair), limits or Limits())
    finally:
        state.restore()


@contextlib.contextmanager
def _observed(model: nn.Module, limits: Limits) -> Iterator[list[tuple[str, nn.Module, dict[str, float]]]]:
    """Collect, in running order, what each interesting module puts out."""
    seen: list[tuple[str, nn.Module, dict[str, float]]] = []
    known: set[str] = set()

    def look(name: str, module: nn.Module, output: Any) -> None:
        if name in known or not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return
        known.add(name)
        seen.append((name, module, facts_of(type(module), by_unit(output.detach()), limits)))

    handles = []
    for name, module in interesting(model):
        hook = lambda module, _, output, name=name: look(name, module, output)  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _judged(
    model: nn.Module,
    loss: float,
    seen: list[tuple[str, nn.Module, dict[str, float]]],
    classes: int | None,
    inputs: tuple[float, str],
    limits: Limits,
) -> GradientFlow:
    layers = tuple(_layer(name, module, facts) for name, module, facts in seen)
    symptoms = (*rules.of_layers(layers, limits), *rules.at_start(loss, classes, *inputs, limits))
    return GradientFlow(type(model).__name__, loss, layers, *rules.slopes(layers), symptoms)


def _layer(name: str, module: nn.Module, facts: dict[str, float]) -> LayerFlow:
    weight = weight_of(module)
    norms: dict[str, float | None] = {"gradient": None, "weight": None}
    if weight is not None and weight.requires_grad:
        grad = weight.grad
        norms["gradient"] = 0.0 if grad is None else float(torch.linalg.vector_norm(grad.double()))
        norms["weight"] = float(torch.linalg.vector_norm(weight.detach().double()))
    return LayerFlow(name, type(module).__name__, **norms, **facts)  # type: ignore[arg-type]
