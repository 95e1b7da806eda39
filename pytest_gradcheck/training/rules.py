"""The health rules: from numbers about layers to symptoms. Each rule is one function of plain numbers and limits."""

from __future__ import annotations

import itertools
import math
from statistics import fmean
from typing import TYPE_CHECKING

from pytest_gradcheck.model.health import LayerFlow, Symptom, slope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.model.run_health import Update
    from pytest_gradcheck.training.reach import Reach

#: Losses at the end of a run whose mean is judged.
_WINDOW = 10
#: Share of the first loss below which a net has learned.
_LEARNED = 0.5
#: Decades by which parts of a net may differ in scale.
_SCALES = 3.0
#: Names that are shown of a list of parameters.
_SHOWN = 3


def slopes(layers: Sequence[LayerFlow]) -> tuple[float | None, float | None]:
    """Decades a layer by which gradient norms, and activations, grow towards the output; None where there is none."""
    weighted = [layer for layer in layers if layer.gradient is not None]
    gradients = [layer.gradient for layer in weighted if layer.gradient is not None]
    return slope(gradients), slope([layer.activation for layer in weighted])


def of_layers(
    layers: Sequence[LayerFlow], limits: Limits, small: Collection[str] = (), still: bool = True
) -> Iterator[Symptom]:
    """Everything that layers in running order show.

    Args:
        layers: The layers.
        limits: Where the lines are.
        small: Names of layers whose weights were made to start near zero.
        still: Whether a gradient that is exactly zero is one that stays so.
    """
    weighted = [layer for layer in layers if layer.gradient is not None]
    yield from _broken(weighted)
    if still:
        yield from of_still(weighted)
    yield from _by_depth(weighted, limits, small)
    for layer in layers:
        yield from _of_one(layer, limits)


def of_still(layers: Sequence[LayerFlow]) -> Iterator[Symptom]:
    """Zero gradients from the first layer on: what follows one with a gradient was passed by, as an unused expert."""
    weighted = [layer for layer in layers if layer.gradient is not None]
    if weighted and weighted[0].gradient == 0:
        count = sum(layer.gradient == 0 for layer in weighted)
        said = f"its gradient is exactly zero, as in {count} of {len(weighted)} layers"
        yield Symptom("vanishing", weighted[0].module, said)


def of_learned(layers: Sequence[LayerFlow], limits: Limits, still: bool = True) -> Iterator[Symptom]:
    """What layers show whose net has learned: units that died since are dead, whatever the loss was before.

    Args:
        layers: The layers.
        limits: Where the lines are.
        still: Whether a gradient that is exactly zero is one that stays so.
    """
    if still:
        yield from of_still(layers)
    for layer in layers:
        yield from _of_dead(layer, limits)


def has_learned(loss: float, first: float, guessing: float = math.inf) -> bool:
    """Whether a loss lies so far below the first one, and below that of guessing, that gradients plainly arrive.

    Then small gradients, large activations and saturated outputs are what a net looks like that fits its batch. A loss
    that only came down to guessing may have died there.

    Args:
        loss: Of a step.
        first: Of the first step.
        guessing: Of a classifier that knows nothing; infinite where the loss is not a classification's.
    """
    return first >= 0 and loss <= _LEARNED * min(first, guessing)


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


def of_loss(loss: float) -> Iterator[Symptom]:
    """Whether a loss of which nothing more is known is finite."""
    if not math.isfinite(loss):
        yield Symptom("initial loss", None, f"the loss is {loss:.4g}")


def at_end(losses: Sequence[float], limits: Limits) -> Iterator[Symptom]:
    """Whether the losses of a run that ended with finite numbers lie far above the first one."""
    recent = recent_mean(losses)
    if any(loss <= 0 for loss in losses):
        return  # a loss around zero, as of a policy's gradient, gives no scale
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


def of_reach(found: Reach) -> Iterator[Symptom]:
    """Layers that no gradient reaches although the loss depends on them: cut off, or under no_grad."""
    yield from _of_cut_off(found.cut_off)
    yield from _of_fixed(found.fixed)


def _of_cut_off(names: Sequence[str]) -> Iterator[Symptom]:
    more = f"; so it is in {len(names) - 1} more" if len(names) > 1 else ""
    for name in names[:1]:
        said = "the loss depends on its output, but no gradient comes back: is it detached, or read by argmax or round?"
        meant = "; where that is meant, as of a target network, requires_grad_(False) says so"
        yield Symptom("detached", name, said + more + meant)


def _of_fixed(names: Sequence[str]) -> Iterator[Symptom]:
    """A warning, because it may be meant."""
    more = f"; so did {len(names) - 1} more" if len(names) > 1 else ""
    for name in names[:1]:
        said = f"it ran under no_grad{more}, and whatever is trained sees the batch only through that"
        yield Symptom("detached", name, f"{said}; where it is meant, requires_grad_(False) says so", level="warning")


def of_idle(optimizers: Sequence[tuple[str, Sequence[str]]], step: int) -> Iterator[Symptom]:
    """Optimizers, by name, of whose parameters none ever got a gradient."""
    for optimizer, names in optimizers:
        said = f"{optimizer} stepped, but none of its parameters got a gradient: {_listed(names)}"
        yield Symptom("detached", None, f"{said}; was what they made detached on its way to the loss?", step)


def of_left_out(names: Sequence[str], step: int) -> Iterator[Symptom]:
    """Parameters that get gradients and are moved by no optimizer."""
    if names:
        said = f"{len(names)} parameters get gradients, but no optimizer holds them: {_listed(names)}"
        yield Symptom("left out", None, said, step, "warning")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _broken(layers: Sequence[LayerFlow]) -> Iterator[Symptom]:
    bad = [layer for layer in layers if not all(map(math.isfinite, (layer.gradient or 0.0, layer.activation)))]
    for layer in bad[:1]:
        yield Symptom("exploding", layer.module, "its gradient or its activation is not finite")


def _by_depth(layers: Sequence[LayerFlow], limits: Limits, small: Collection[str]) -> Iterator[Symptom]:
    gradient, activation = slopes(layers)
    gradients, activations = _steps(layers, "gradient", small), _steps(layers, "activation", small)
    ends = f"{layers[0].gradient:.2g} in the first layer, {layers[-1].gradient:.2g} in the last" if layers else ""
    limit, steep = f"the limit is {limits.slope:g}", max(limits.slope, limits.span / max(1, len(layers) - 1))
    if gradient is not None and gradient > steep and _steady(gradients, limits.slope):
        said = f"gradients shrink by {gradient:.2f} decades a layer towards the input"
        yield Symptom("vanishing", None, f"{said} ({ends}); {limit}")
    if gradient is not None and gradient < -steep and _steady([-step for step in gradients], limits.slope):
        said = f"gradients grow by {-gradient:.2f} decades a layer towards the input"
        yield Symptom("exploding", None, f"{said} ({ends}); {limit}")
    if activation is not None and activation > steep and _steady(activations, limits.slope):
        yield Symptom("exploding activations", None, f"activations grow by {activation:.2f} decades a layer; {limit}")


def _steps(layers: Sequence[LayerFlow], quantity: str, small: Collection[str]) -> list[float]:
    """Decades from each layer to the next, but into and out of those whose weights start near zero."""
    pairs = [pair for pair in itertools.pairwise(layers) if not any(layer.module in small for layer in pair)]
    values = [(getattr(before, quantity), getattr(after, quantity)) for before, after in pairs]
    return [math.log10(after / before) for before, after in values if 0 < before < math.inf and 0 < after < math.inf]


def _steady(steps: Sequence[float], limit: float) -> bool:
    """Whether a growth goes on without its largest step: two parts of different scale are no trend by depth.

    Scales differ by so much; a step larger than that is a fault by itself.
    """
    *rest, largest = sorted(steps) or (0.0,)
    return largest > _SCALES or (bool(rest) and fmean(rest) > limit)


def _of_one(layer: LayerFlow, limits: Limits) -> Iterator[Symptom]:
    yield from _of_dead(layer, limits)
    if layer.saturated is not None and layer.saturated > limits.saturated:
        yield Symptom("saturation", layer.module, f"{layer.saturated:.0%} of its values are saturated")


def _of_dead(layer: LayerFlow, limits: Limits) -> Iterator[Symptom]:
    if layer.dead is not None and layer.dead > limits.dead:
        yield Symptom(
            "dead ReLU", layer.module, f"{layer.dead:.0%} of its units fire in under {limits.fires:.0%} of samples"
        )
