"""Whether the loss depends on a layer that no gradient reaches: it was detached, and not merely left unused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.training.layers import interesting, is_compiled, is_seen, weight_of
from pytest_gradcheck.training.state import StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

#: Layers that are tried: each costs a forward.
_MOST = 8


def unreached(model: nn.Module, reached: Container[int], wanted: Container[int] | None = None) -> list[str]:
    """Layers whose trainable weight got no gradient.

    Args:
        model: The model; where it was compiled, nothing is said, because its modules cannot be changed.
        reached: Identities of the parameters that got one.
        wanted: Identities of those that should have; None are all.
    """
    if any(map(is_compiled, model.modules())):
        return []
    weights = ((name, weight_of(module)) for name, module in interesting(model))
    return [
        name
        for name, weight in weights
        if weight is not None
        and weight.requires_grad
        and id(weight) not in reached
        and (wanted is None or id(weight) in wanted)
    ]


def cut_off(model: nn.Module, names: Sequence[str], loss: Callable[[], torch.Tensor]) -> list[str]:
    """Those of these layers whose output changes the loss, although it was computed with a gradient.

    The model and the generators are left as they were; nothing is said of a forward that bears no change.

    A head that the loss does not read changes nothing; a target network that runs under no_grad is meant to be fixed.

    Args:
        model: The model.
        names: Qualified names of layers that no gradient reached.
        loss: Computes the step's loss again.
    """
    if not names:
        return []
    state, found = StepState(model), []
    state.take()

    def value() -> float:
        state.restore()
        return float(loss().detach())

    with contextlib.suppress(Exception):  # a forward that does not bear the change says nothing
        plain = value()
        for name in names[:_MOST]:
            with _changed(model.get_submodule(name)) as seen:
                differs = value() != plain
            found += [name] if seen and differs else []
    state.restore()
    return found


@contextlib.contextmanager
def _changed(module: nn.Module) -> Iterator[list[bool]]:
    """Change what a module puts out, where a gradient could come back; the list is empty if it never did."""
    seen: list[bool] = []

    def change(_: nn.Module, __: Any, output: Any) -> Any:
        if not is_seen(output) or not output.requires_grad:
            return None
        seen.append(True)
        ramp = torch.linspace(1, 2, output.numel(), device=output.device).to(output.dtype)
        return ramp.view_as(output) - 2 * output  # in another order too: what argmax reads has changed

    handle = module.register_forward_hook(change)
    try:
        yield seen
    finally:
        handle.remove()
