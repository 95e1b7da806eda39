"""Random graphs of differentiable torch operations, and faults planted in the backward of one of their nodes.

A graph is a list of steps over a pool of values of one shape (rows, columns). Every step reads one or two values of the
pool and adds one; values stay of order one, because each step squashes or normalises what could grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Unary = Callable[[Tensor], Tensor]
Binary = Callable[[Tensor, Tensor], Tensor]

UNARY: dict[str, Unary] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "relu": torch.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "abs": torch.abs,
    "exp of tanh": lambda x: x.tanh().exp(),
    "log(1 + x^2)": lambda x: (1 + x * x).log(),
    "sqrt(1 + x^2)": lambda x: (1 + x * x).sqrt(),
    "softmax of rows": lambda x: x.softmax(-1),
    "log_softmax of columns": lambda x: x.log_softmax(0) / 4,
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:], eps=0.1),
    "less the mean": lambda x: x - x.mean(0, keepdim=True),
    "logsumexp": lambda x: x - x.logsumexp(-1, keepdim=True),
    "largest of each row": lambda x: x - x.amax(-1, keepdim=True) / 2,
    "sorted": lambda x: x.sort(-1).values,
    "cumsum": lambda x: x.cumsum(-1) / x.shape[-1],
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1, -1),
    "first row for all": lambda x: x[torch.zeros(len(x), dtype=torch.long)],
    "strided": lambda x: x.t().contiguous().t() * 0.9,
    "cat and slice": lambda x: torch.cat([x, x * 0.5])[len(x) // 2 : len(x) // 2 + len(x)],
    "gram": lambda x: (x @ x.t() @ x) / (1 + x.square().sum()),
    "clamp": lambda x: x.clamp(-0.8, 0.8),
    "norm of rows": lambda x: x / (0.5 + x.square().sum(-1, keepdim=True)).sqrt(),
    "view and back": lambda x: x.reshape(-1).unfold(0, 1, 1).reshape(x.shape) ** 2 / (1 + x * x),
}
BINARY: dict[str, Binary] = {
    "add": torch.add,
    "mul": lambda a, b: a * b.tanh(),
    "div": lambda a, b: a / (1 + b * b),
    "maximum": torch.maximum,
    "where": lambda a, b: torch.where(a.detach() > 0, a, b),
    "lerp": lambda a, b: torch.lerp(a, b, 0.3),
    "attend": lambda a, b: (a @ b.t()).softmax(-1) @ b,
    "hypot": lambda a, b: torch.hypot(a, b + 3),
    "outer row": lambda a, b: a + b[:1] / 2,
}
FAULTS: dict[str, Unary] = {
    "one per cent too large": lambda g: g * 1.01,
    "twice": lambda g: g * 2,
    "negated": torch.neg,
    "no gradient": torch.zeros_like,
    "one element dropped": lambda g: (
        g.index_fill(1, torch.tensor([0]), 0.0)
        if len(g) == 1
        else torch.cat([g[:1] * torch.cat([g.new_zeros(1), g.new_ones(g.shape[1] - 1)]), g[1:]])
    ),
    "last row dropped": lambda g: torch.cat([g[:-1], torch.zeros_like(g[-1:])]),
    "rolled": lambda g: g.roll(1, -1),
    "bent": lambda g: g.clamp(-0.3, 0.3),
    "meant": lambda g: g.mean(0, keepdim=True).expand_as(g),
    "unsigned": torch.abs,
}


@dataclass(frozen=True)
class Step:
    """One node: an operation, and which values of the pool it reads (taken modulo the pool's size, from the newest)."""

    name: str
    first: int = 0
    second: int = 0


@dataclass(frozen=True)
class Graph:
    """A program over `inputs` tensors, and perhaps a fault in the backward of one node.

    Attributes:
        steps: The nodes in their order.
        fault: Name of the fault, or None.
        at: Which node carries it, modulo the number of steps.
    """

    steps: tuple[Step, ...]
    fault: str | None = None
    at: int = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        pool = list(inputs)
        for number, step in enumerate(self.steps):
            value = self._value(step, pool)
            if self.fault is not None and number == self.at % len(self.steps):
                value = Faulty.apply(value, FAULTS[self.fault])  # type: ignore[no-untyped-call]
            pool.append(value)
        return pool[-1]

    def sound(self) -> Graph:
        """The same graph without its fault."""
        return replace(self, fault=None)

    def _value(self, step: Step, pool: list[Tensor]) -> Tensor:
        first = pool[-1 - step.first % len(pool)]
        if step.name in UNARY:
            return UNARY[step.name](first)
        return BINARY[step.name](first, pool[-1 - step.second % len(pool)])


class Faulty(torch.autograd.Function):
    """The identity, whose backward passes its cotangent through a fault."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, fault: Unary) -> Tensor:
        ctx.fault = fault
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        return ctx.fault(cotangents[0]), None


def effect(graph: Graph, inputs: list[Tensor], seed: int) -> float:
    """How far the fault moves the gradient: the largest relative error of an input, for one random cotangent.

    Zero where the fault does nothing, such as a dropped element whose cotangent is zero anyway.
    """
    cotangent = torch.randn(
        graph.sound()(*inputs).shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    wrong, right = (_gradients(each, inputs, cotangent) for each in (graph, graph.sound()))
    ratios = [
        float((a - b).norm() / (a.norm() + b.norm()))
        for a, b in zip(wrong, right, strict=True)
        if float(a.norm() + b.norm())
    ]
    return max(ratios, default=0.0)


def _gradients(graph: Graph, inputs: list[Tensor], cotangent: Tensor) -> list[Tensor]:
    leaves = [value.detach().clone().requires_grad_() for value in inputs]
    found = torch.autograd.grad(graph(*leaves), leaves, cotangent, allow_unused=True)
    return [torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, found, strict=True)]
