"""The health rules: from numbers about layers to symptoms. Each rule is one function of plain numbers and limits."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

from pytest_gradcheck.model.health import LayerFlow, Symptom, slope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Update

#: Losses at the end of a run whose mean is judged.
_WINDOW = 10


def slopes(layers: Sequence[LayerFlow]) -> tuple[float | None, float | None]:
    """Decades a layer by which gradient norms, and activations, grow towards the output; None where there is none."""
    weighted = [layer for layer in layers if layer.gradient is not None]
    gradients = [layer.gradient for layer in weighted if layer.gradient is not None]
    return slope(gradients), slope([layer.activation for layer in weighted])


def of_layers(layers: Sequence[LayerFlow], limits: Limits) -> Iterator[Symptom]:
    """Everything that layers in running order show."""
    weighted = [layer for layer in layers if layer.gradient is not None]
    yield from _broken(weighted)
    yield from _by_depth(weighted, limits)
    for layer in layers:
        yield from _of_one(layer, limits)


def at_start(loss: float, classes: int | None, largest: float, span: str, limits: Limits) -> Iterator[Symptom]:
    """What the first batch and the first loss show.

    Args:
        loss: The first loss.
        classes: Number of classes, or None where the loss is not cross entropy.
        largest: Largest magnitude of the inputs.
        span: Their range in words.
        limits: Where the lines are.
    """
    if largest > limits.input:
        yield Symptom("input", None, f"the inputs {span}: nets expect a scale near 1")
    if classes is not None and classes > 1 and not loss <= limits.loss * math.log(classes):
        guessing = f"guessing among {classes} classes gives {math.log(classes):.4g}"
        yield Symptom("initial loss", None, f"the loss is {loss:.4g}, but {guessing}")


def at_end(losses: Sequence[float], limits: Limits) -> Iterator[Symptom]:
    """Whether the losses of a run that ended with finite numbers lie far above the first one."""
    recent = recent_mean(losses)
    if losses and 0 < limits.rise * losses[0] < recent:
        said = f"the last losses average {recent:.4g}, {recent / losses[0]:.2g} times the first one"
        yield Symptom("divergence", None, f"{said}; the limit is {limits.rise:g} times", len(losses) - 1)


def recent_mean(losses: Sequence[float]) -> float:
    """The mean of the last losses: ten of them, at most half of the run."""
    return fmean(losses[-max(1, min(_WINDOW, len(losses) // 2)) :]) if losses else math.nan


def of_updates(updates: Sequence[Update], limits: Limits) -> Iterator[Symptom]:
    """Whether the last update foretells a nan (an error), or is merely large (a warning)."""
    if not updates or not updates[-1].ratio > limits.update_warn:
        return
    last, before = updates[-1], updates[-2] if len(updates) > 1 else None
    said = f"the update of {last.tensor} was {last.ratio:.3g} times its initial norm (learning rate {last.rate:g})"
    if before and before.step == last.step - 1 and min(before.ratio, last.ratio) > limits.update:
        twice = f"{before.ratio:.3g} and {last.ratio:.3g} times the initial norm of a weight"
        said = f"updates of {twice} in two steps running; the limit is {limits.update:g}"
        yield Symptom("learning rate", None, said, last.step)
    else:
        yield Symptom("learning rate", None, f"{said}; the limit is {limits.update_warn:g}", last.step, "warning")


def _broken(layers: Sequence[LayerFlow]) -> Iterator[Symptom]:
    bad = [layer for layer in layers if not all(map(math.isfinite, (layer.gradient or 0.0, layer.activation)))]
    for layer in bad[:1]:
        yield Symptom("exploding", layer.module, "its gradient or its activation is not finite")
    still = [layer for layer in layers if layer.gradient == 0]
    for layer in still[:1]:
        yield Symptom(
            "vanishing", layer.module, f"its gradient is exactly zero, as in {len(still)} of {len(layers)} layers"
        )


def _by_depth(layers: Sequence[LayerFlow], limits: Limits) -> Iterator[Symptom]:
    gradient, activation = slopes(layers)
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


def _of_one(layer: LayerFlow, limits: Limits) -> Iterator[Symptom]:
    if layer.dead is not None and layer.dead > limits.dead:
        yield Symptom(
            "dead ReLU", layer.module, f"{layer.dead:.0%} of its units fire in under {limits.fires:.0%} of samples"
        )
    if layer.saturated is not None and layer.saturated > limits.saturated:
        yield Symptom("saturation", layer.module, f"{layer.saturated:.0%} of its values are saturated")
