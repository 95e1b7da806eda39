"""`gradient_flow`: one forward and one backward pass, and the health rules on what they show."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.health import GradientFlow, LayerFlow, Limits, Symptom, slope
from pytest_gradcheck.training.blame import input_facts
from pytest_gradcheck.training.feed import Feed
from pytest_gradcheck.training.objective import Loss, class_count, forward, objective
from pytest_gradcheck.training.plan import device_of
from pytest_gradcheck.training.state import ModelState, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

_SQUASHING: dict[type[nn.Module], tuple[float, float]] = {nn.Tanh: (-0.97, 0.97), nn.Sigmoid: (0.03, 0.97)}


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
        values = output.detach().double()
        facts = {"activation": float(values.square().mean().sqrt())}
        if isinstance(module, nn.ReLU):
            facts["dead"] = _dead(values, limits.fires)
        for kind, (low, high) in _SQUASHING.items():
            if isinstance(module, kind):
                facts["saturated"] = float(((values < low) | (values > high)).double().mean())
        seen.append((name, module, facts))

    handles = []
    for name, module in model.named_modules():
        if _weight(module) is not None or isinstance(module, (nn.ReLU, nn.Tanh, nn.Sigmoid)):
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
    layers = [_layer(name, module, facts) for name, module, facts in seen]
    weighted = [layer for layer in layers if layer.gradient is not None]
    gradient = slope([layer.gradient for layer in weighted if layer.gradient is not None])
    activation = slope([layer.activation for layer in weighted])
    symptoms = [*_by_depth(weighted, gradient, activation, limits), *_by_layer(layers, limits)]
    symptoms += _at_start(loss, classes, inputs, limits)
    return GradientFlow(type(model).__name__, loss, tuple(layers), gradient, activation, tuple(symptoms))


def _layer(name: str, module: nn.Module, facts: dict[str, float]) -> LayerFlow:
    weight = _weight(module)
    norms: dict[str, float | None] = {"gradient": None, "weight": None}
    if weight is not None and weight.requires_grad:
        grad = weight.grad
        norms["gradient"] = 0.0 if grad is None else float(torch.linalg.vector_norm(grad.double()))
        norms["weight"] = float(torch.linalg.vector_norm(weight.detach().double()))
    return LayerFlow(name, type(module).__name__, **norms, **facts)  # type: ignore[arg-type]


def _by_depth(
    layers: list[LayerFlow], gradient: float | None, activation: float | None, limits: Limits
) -> Iterator[Symptom]:
    bad = [layer for layer in layers if not all(map(math.isfinite, (layer.gradient or 0.0, layer.activation)))]
    for layer in bad[:1]:
        yield Symptom("exploding", layer.module, "its gradient or its activation is not finite")
    still = [layer for layer in layers if layer.gradient == 0]
    for layer in still[:1]:
        yield Symptom(
            "vanishing", layer.module, f"its gradient is exactly zero, as in {len(still)} of {len(layers)} layers"
        )
    ends = f"{layers[0].gradient:.2g} in the first layer, {layers[-1].gradient:.2g} in the last" if layers else ""
    limit, steep = f"the limit is {limits.slope:g}", max(limits.slope, limits.span / max(1, len(layers) - 1))
    if gradient is not None and gradient > steep:
        said = f"gradients shrink by {gradient:.2f} decades a layer towards the input"
        yield Symptom("vanishing", None, f"{said} ({ends}); {limit}")
    if gradient is not None and gradient < -steep:
        said = f"gradients grow by {-gradient:.2f} decades a layer towards the input"
        yield Symptom("exploding", None, f"{said} ({ends}); {limit}")
    if activation is not None and activation > steep:
        yield Symptom("exploding activations", None, f"activations grow by {activation:.2f} decades a layer; {limit}")


def _by_layer(layers: list[LayerFlow], limits: Limits) -> Iterator[Symptom]:
    for layer in layers:
        if layer.dead is not None and layer.dead > limits.dead:
            yield Symptom(
                "dead ReLU", layer.module, f"{layer.dead:.0%} of its units fire in under {limits.fires:.0%} of samples"
            )
        if layer.saturated is not None and layer.saturated > limits.saturated:
            yield Symptom("saturation", layer.module, f"{layer.saturated:.0%} of its values are saturated")


def _at_start(loss: float, classes: int | None, inputs: tuple[float, str], limits: Limits) -> Iterator[Symptom]:
    largest, span = inputs
    if largest > limits.input:
        yield Symptom("input", None, f"the inputs {span}: nets expect a scale near 1")
    if classes is not None and classes > 1 and not loss <= limits.loss * math.log(classes):
        guessing = f"guessing among {classes} classes gives {math.log(classes):.4g}"
        yield Symptom("initial loss", None, f"the loss is {loss:.4g}, but {guessing}")


def _dead(values: torch.Tensor, fires: float) -> float:
    """Share of units (the second dimension; each sample and place counts) that are positive too rarely."""
    if values.dim() < 2:
        return 0.0
    positive = (values > 0).double().transpose(0, 1).flatten(1).mean(1)
    return float((positive < fires).double().mean())


def _weight(module: nn.Module) -> nn.Parameter | None:
    weight = module._parameters.get("weight")
    return weight if weight is not None and weight.dim() > 1 else None
