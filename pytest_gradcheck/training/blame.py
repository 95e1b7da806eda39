"""From a reading that is not finite to the thing to blame, in the order batch, state, forward, backward."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training.bad_batch import bad_batch, tensors_of
from pytest_gradcheck.training.numbers import has_numbers, masks_among, non_finite, real_values
from pytest_gradcheck.training.replay import Root
from pytest_gradcheck.training.sentinel import Reading, tensor_norms
from pytest_gradcheck.training.trace import ForwardTrace

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from pytest_gradcheck.training.feed import Batch
    from pytest_gradcheck.training.state import StepState


def blame(
    step: int, reading: Reading, batch: Batch, model: nn.Module, state: StepState, compute: Callable[[], object]
) -> Failure:
    """What made this step fail.

    Args:
        step: The failing step.
        reading: What the sentinel saw in it.
        batch: What it trained on.
        model: With the parameters of the failing forward: the check comes before the optimizer moves them.
        state: What the forward may have changed, as it was before.
        compute: Runs the forward again.
    """
    given = bad_before(step, batch, model, state, compute)
    if given:
        return given
    if not math.isfinite(reading.loss):
        return Failure(step, "forward", "loss", "nan" if math.isnan(reading.loss) else "inf")
    # Backward runs from the loss to the inputs, so the last parameter is the first to be reached.
    name, kind = list(reading.bad.items())[-1]
    share = f"{len(reading.bad)} of {len(reading.norms)} gradients are not finite"
    return Failure(step, "backward", "gradient", kind, _owner(name), name, evidence=(share,))


def bad_before(
    step: int, batch: Batch, model: nn.Module, state: StepState, compute: Callable[[], object]
) -> Failure | None:
    """A failure that this step's forward was given: a bad batch, parameter or buffer; None where all are fine."""
    spoilt = bad_batch(batch)
    if spoilt:
        side, kind, places = spoilt
        return Failure(step, "data", "input", kind, tensor=side, evidence=places)
    held = bad_parameter(model)
    if held is None and (buffer := _bad_buffer(model, state)) and _spoils(state, compute):
        held = buffer
    if held is None:
        return None
    name, kind = held
    if step == 0:
        return Failure(step, "forward", "parameter", kind, _owner(name), name)
    said = f"it reached the loss in step {step}"
    return Failure(step - 1, "optimizer", "parameter", kind, _owner(name), name, evidence=(said,))


def seen_late(reading: Reading, now: int) -> Failure:
    """What a late reading shows by itself: the optimizer has moved on since, so there is nothing to replay."""
    steps = now - reading.step
    late = f"seen {steps} step{'s' if steps != 1 else ''} late, by a look that was thin"
    if not math.isfinite(reading.loss):
        kind = "nan" if math.isnan(reading.loss) else "inf"
        return Failure(reading.step, "forward", "loss", kind, evidence=(late,))
    name, kind = list(reading.bad.items())[-1]
    return Failure(reading.step, "backward", "gradient", kind, _owner(name), name, evidence=(late,))


def bad_parameter(model: nn.Module) -> tuple[str, str] | None:
    """The first parameter that holds a nan or an infinity, and which of the two; None where all are finite."""
    named = [(name, parameter.detach()) for name, parameter in model.named_parameters()]
    norms = torch.stack([norm.to("cpu", torch.float64) for norm in tensor_norms([item for _, item in named])])
    if bool(torch.isfinite(norms).all()):
        return None
    suspects = ((name, non_finite(parameter)) for name, parameter in named)
    return next(((name, kind) for name, kind in suspects if kind), None)


def _bad_buffer(model: nn.Module, state: StepState) -> tuple[str, str] | None:
    """The first buffer that held a nan or +inf before the forward; masks hold -inf on purpose."""
    names = {id(module): name for name, module in model.named_modules()}
    for module, slot, buffer in state.floating():
        kind = non_finite(torch.where(buffer == -math.inf, 0, buffer))
        if kind:
            return f"{names[id(module)]}.{slot}".lstrip("."), kind
    return None


def _spoils(state: StepState, compute: Callable[[], object]) -> bool:
    """Whether the forward lets a bad number of the state through: best losses and ranges merely begin at inf.

    Where what it ends in is not finite, that must come from such a number.
    """
    state.restore()
    trace = ForwardTrace()
    ends: list[Any] = []
    with contextlib.suppress(Exception), trace:
        ends = tree_leaves(compute())
    events = [trace.event_of(end.tensor if isinstance(end, Root) else end) for end in ends]
    culprits = [event for event in events if event and not event.mask]
    return culprits[0].origin().given if culprits else trace.spoilt


def _floating(part: Any) -> list[torch.Tensor]:
    """The numbers of every tensor in it, but for attention masks: these hold huge and infinite ones on purpose."""
    held = [leaf for _, leaf in tensors_of(part)]
    masks = masks_among(held)
    return [real_values(leaf) for place, leaf in enumerate(held) if place not in masks and has_numbers(leaf)]


def input_facts(batch: Batch) -> tuple[float, str]:
    """The largest magnitude among the finite inputs, and their range in words."""
    known = [leaf[torch.isfinite(leaf)].detach().double() for leaf in _floating(batch.inputs)]
    known = [leaf for leaf in known if leaf.numel()]
    if not known:
        return 0.0, "hold no floating numbers"
    low, high = min(float(leaf.min()) for leaf in known), max(float(leaf.max()) for leaf in known)
    mean = sum(float(leaf.sum()) for leaf in known) / sum(leaf.numel() for leaf in known)
    return max(-low, high), f"of this step span {low:.4g} to {high:.4g}, mean {mean:.4g}"


def _owner(name: str) -> str:
    return name.rpartition(".")[0]
