"""How a right Function and its faults are written down: as data, one line a fault where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Body = Callable[..., Any]
FunctionClass = type[torch.autograd.Function]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a Function.

    Attributes:
        check: The check that should catch it: "vjp", "second-order", or the kind of its finding.
        group: The class of fault, a row of the kill matrix.
        change: What is wrong: another `backward(g, *inputs)`, or whole static methods by name.
    """

    check: str
    group: str
    change: Body | Mapping[str, Body]


@dataclass(frozen=True)
class Spec:
    """A right Function, a point at which to check it, and its faults.

    Attributes:
        name: The Function's name.
        forward: `forward(*inputs)`; the inputs are saved for backward. Or whole static methods by name, in `methods`.
        backward: `backward(g, *inputs)`, differentiable.
        inputs: Makes the inputs; called with the random state seeded.
        faults: The faults, by name.
        methods: Static methods that replace those made of `forward` and `backward`.
    """

    name: str
    inputs: Callable[[], tuple[Any, ...]]
    forward: Body | None = None
    backward: Body | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
    methods: Mapping[str, Any] = field(default_factory=dict)

    def right(self) -> FunctionClass:
        """The right Function."""
        return self._made(self.name, {})

    def wrong(self, fault: str) -> FunctionClass:
        """The Function with one fault."""
        change = self.faults[fault].change
        methods = change if isinstance(change, Mapping) else {"backward": saved_to(change)}
        return self._made(f"{self.name}_{fault.replace(' ', '_')}", methods)

    def point(self) -> tuple[Any, ...]:
        """The inputs; the same ones every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.inputs()

    def _made(self, name: str, methods: Mapping[str, Any]) -> FunctionClass:
        whole: dict[str, Any] = {}
        if self.forward is not None:
            whole["forward"] = saving(self.forward)
        if self.backward is not None:
            whole["backward"] = saved_to(self.backward)
        whole |= {**self.methods, **methods}
        body = {key: staticmethod(value) if callable(value) else value for key, value in whole.items()}
        return type(name, (torch.autograd.Function,), body)


def saving(forward: Body) -> Body:
    """A forward that saves its tensors and keeps the rest on ctx."""

    def wrapped(ctx: Any, *inputs: Any) -> Any:
        ctx.save_for_backward(*(value if isinstance(value, Tensor) else None for value in inputs))
        ctx.others = tuple(None if isinstance(value, Tensor) else value for value in inputs)
        return forward(*inputs)

    return wrapped


def saved_to(backward: Body) -> Body:
    """A backward that hands on the cotangents and what `saving` kept."""

    def wrapped(ctx: Any, *cotangents: Any) -> Any:
        return backward(*cotangents, *restored(ctx))

    return wrapped


def restored(ctx: Any) -> list[Any]:
    """The inputs as `saving` kept them."""
    return [other if tensor is None else tensor for tensor, other in zip(ctx.saved_tensors, ctx.others, strict=True)]


def randn(*shape: int) -> Tensor:
    """Normal float64 numbers."""
    return torch.randn(shape, dtype=torch.float64)


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform float64 numbers."""
    return low + (high - low) * torch.rand(shape, dtype=torch.float64)


FORMULA, COTANGENT, LAYOUT, MUTATION = "formula", "cotangent", "layout", "mutation"
SUBSET, REDUCTION, BORDER, SECOND = "some inputs", "indices and reductions", "tail and border", "double backward"
PRECISION, STATE, DEGENERATE, LEAK = "precision", "state and randomness", "degenerate data", "leak"
RETURNED, OUTPUTS, RULES = "returned gradients", "several outputs", "jvp and vmap"
