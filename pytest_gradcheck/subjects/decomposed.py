"""What vmap has no rule for, or a slow one, run as the parts that it is made of.

Recurrent layers have no rule. The kernel of softmax takes some five times as long over few numbers as its parts do.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

#: What answers instead of one of torch's functions: that function, its arguments; NotImplemented for no answer.
Answer = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
#: Softmax over more numbers than this is faster by its kernel.
FEW = 64
PLAIN: frozenset[Any] = frozenset([Tensor, torch.nn.Parameter])


def _softmax(x: Tensor, dim: int | None = None, *further: Any, **named: Any) -> Any:
    """Softmax as the quotient it is; NotImplemented where the kernel is the better, or the call an unusual one."""
    if dim is None or further or any(value is not None for key, value in named.items() if key != "_stacklevel"):
        return NotImplemented
    if not x.dim() or x.shape[dim] > FEW or x.shape[dim] == 0 or x.dtype is not torch.float64 or x.device.type != "cpu":
        return NotImplemented
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def _decompositions() -> dict[Any, Callable[..., Any]]:
    """By function: torch's own decompositions of recurrent layers, those that this version of torch has, and ours."""
    import torch._decomp.decompositions as own

    pairs = {
        torch.lstm: "lstm_impl",
        torch.gru: "gru_impl",
        torch.rnn_tanh: "rnn_tanh_input",
        torch.rnn_relu: "rnn_relu_input",
    }
    found = {function: _unpacked(getattr(own, name)) for function, name in pairs.items() if hasattr(own, name)}
    return found | dict.fromkeys((functional.softmax, torch.softmax, Tensor.softmax), _softmax)


def _unpacked(layer: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        # Packed sequences have one argument more before the flag `has_biases`, and other decompositions.
        return layer(*args, **kwargs) if len(args) > 3 and isinstance(args[3], bool) else NotImplemented

    return run


class Decomposed(TorchFunctionMode):
    """Replaces torch's functions for the length of a block.

    Their values agree to rounding; whoever uses it compares with a plain evaluation all the same.

    Args:
        first: Asked before anything else.
    """

    def __init__(self, first: Answer | None = None) -> None:
        super().__init__()
        self._first = first
        self._instead = _decompositions()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        found = NotImplemented if self._first is None else self._first(func, args, kwargs)
        if found is NotImplemented and func in self._instead:
            with self:
                found = self._instead[func](*args, **kwargs)
        elif found is NotImplemented and _whole(func) and PLAIN.issuperset(types):
            with self:
                return _opened(func)(*args, **kwargs)
        return func(*args, **kwargs) if found is NotImplemented else found


def _whole(function: Any) -> bool:
    """Whether torch hands over a function of many operations, of which a mode would see none."""
    return isinstance(function, FunctionType) and function.__globals__ is functional.__dict__


def _opened(function: FunctionType) -> Callable[..., Any]:
    """A copy of one of torch's functions that does not hand itself over as a whole to the mode that is on."""
    names = {name: _no for name in function.__globals__ if name.startswith("has_torch_function")}
    copy = FunctionType(
        function.__code__, function.__globals__ | names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _no(*_: Any) -> bool:
    return False
