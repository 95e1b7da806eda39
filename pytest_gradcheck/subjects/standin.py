"""The body of a custom Function run as plain torch code, with something in place of its ctx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from pytest_gradcheck.subjects.application import Application, flat
from pytest_gradcheck.subjects.observe import has_setup_context


def body(application: Application, inputs: Sequence[Any]) -> list[torch.Tensor] | None:
    """The floating and complex outputs of the Function's forward, with a graph through its own operations.

    Args:
        application: The Function and its random state.
        inputs: Its positional arguments; forward gets clones of the tensors, so that it may write into them.

    Returns:
        None where the body raises, or an output depends on no input that requires a gradient.
    """
    own = [value.clone() if isinstance(value, torch.Tensor) else value for value in inputs]
    ctx = StandIn(isinstance(value, torch.Tensor) and value.requires_grad for value in own)
    forward: Callable[..., Any] = application.function.forward
    application.restart()
    try:
        with torch.enable_grad():
            outputs = flat(forward(*own) if has_setup_context(application.function) else forward(ctx, *own))
    except Exception:  # noqa: BLE001  numpy, in-place writes, kernels: the body is not made of torch operations
        return None
    return outputs if outputs and all(output.requires_grad for output in outputs) else None


class StandIn:
    """What a forward may do with its ctx, to no effect."""

    def __init__(self, needs_input_grad: Any) -> None:
        self.needs_input_grad = tuple(needs_input_grad)
        self.saved_tensors: Sequence[Any] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps the tensors, as forward may read them again."""
        self.saved_tensors = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Nothing."""

    def mark_dirty(self, *tensors: Any) -> None:
        """Nothing."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Nothing."""

    def set_materialize_grads(self, value: bool) -> None:
        """Nothing."""
