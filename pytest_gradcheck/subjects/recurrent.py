"""Recurrent layers under vmap, which has no rule for them: run as the matrix products that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """torch's own decompositions; those that this version of torch has."""
    import torch._decomp.decompositions as own

    pairs = {
        torch.lstm: "lstm_impl",
        torch.gru: "gru_impl",
        torch.rnn_tanh: "rnn_tanh_input",
        torch.rnn_relu: "rnn_relu_input",
    }
    return {function: getattr(own, name) for function, name in pairs.items() if hasattr(own, name)}


class Decomposed(TorchFunctionMode):
    """Replaces LSTM, GRU and RNN by their decompositions for the length of a block.

    Their values agree to rounding; whoever uses it compares with a plain evaluation all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self._instead = _decompositions()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Packed sequences have one argument more before the flag `has_biases`, and other decompositions.
        if func in self._instead and len(args) > 3 and isinstance(args[3], bool):
            return self._instead[func](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
