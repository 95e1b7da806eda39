"""Running a failing step once more under observation, to name the operation that broke it and its source line."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.model.training import Failure, Site
from pytest_gradcheck.training.backtrace import BackwardTrace
from pytest_gradcheck.training.numbers import total
from pytest_gradcheck.training.profile import growth, layer_sizes
from pytest_gradcheck.training.source import line_of_node
from pytest_gradcheck.training.trace import Event, ForwardTrace, module_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gradcheck.training.state import StepState


@dataclass(frozen=True)
class Replay:
    """What a second run of the step showed.

    Attributes:
        loss: Its loss, or the sum of its outputs where they are what backward starts from.
        first: The first operation of the forward with a non-finite result, or None.
        forward: The operation whose non-finite result reached the loss, or None.
        backward: Where backward turned finite gradients into others, or None.
        growth: Decades by which activations grow from one layer with weights to the next, or call to call, or None.
    """

    loss: float
    first: Event | None
    forward: Event | None
    backward: Site | None
    growth: float | None


@dataclass(frozen=True)
class Root:
    """What a backward pass starts from.

    Attributes:
        tensor: The loss, or an output of the model.
        grad: The gradient that it gets; None stands for one.
    """

    tensor: torch.Tensor
    grad: torch.Tensor | None = None


def replay(model: nn.Module, state: StepState, compute: Callable[[], list[Root]]) -> Replay:
    """Run forward and backward again from the noted state.

    Args:
        model: With the parameters of the failing step.
        state: Taken before its forward.
        compute: Runs the forward and gives what backward starts from.
    """
    state.restore()
    model.zero_grad(set_to_none=True)
    trace = ForwardTrace()
    with torch.autograd.set_detect_anomaly(True, check_nan=False):  # notes each node's traceback, and checks nothing
        with layer_sizes(model) as sizes, module_stack(model, trace.modules) as owners, trace:
            roots = compute()
        value = sum(total(root.tensor) for root in roots)
        events = filter(None, (trace.event_of(root.tensor) for root in roots))
        culprit = next((event for event in events if not event.mask), None)
        backward = None
        if culprit is None:
            tensors = [root.tensor for root in roots]
            watched = BackwardTrace(tensors)
            torch.autograd.backward(tensors, [root.grad for root in roots])
            watched.close()
            if watched.culprit:
                node, kind = watched.culprit
                backward = Site(node.name(), owners.get(node), line_of_node(node), kind)
    return Replay(value, trace.first, culprit.origin() if culprit else None, backward, growth(sizes))


def sharpen(failure: Failure, seen: Replay, loss: float) -> Failure:
    """A failure of forward or backward with the operation that the replay found.

    Args:
        failure: As the sentinel saw it: the loss or a gradient.
        seen: The replay.
        loss: The loss (or the sum of the outputs) of the step when it failed.
    """
    same = seen.loss == loss or (math.isnan(seen.loss) and math.isnan(loss))
    first = site(seen.first) if seen.first else None
    where = seen.backward if failure.phase == "backward" else site(seen.forward) if seen.forward else None
    if where is None:
        return replace(failure, reproduced=False)
    quantity = failure.quantity
    if failure.phase == "forward" and where.module is not None:
        quantity = "activation"
    return replace(
        failure,
        quantity=quantity,
        value=where.value.lstrip("-"),
        module=where.module,
        op=where.op,
        source=where.source,
        first=None if first == where else first,
        reproduced=same,
    )


def site(event: Event) -> Site:
    """The event as plain data."""
    return Site(event.op, event.module, event.source, event.value)
