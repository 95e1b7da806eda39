"""What torch's own modules leave out of the gradient on purpose, held constant while they are checked.

A difference quotient sees what autograd was told not to, so a right gradient would be called wrong. What is checked is
therefore the function that torch differentiates:

- `nn.Embedding(padding_idx=k)` drops the gradient of every lookup of row `k`: those lookups give a constant. Other uses
  of the same weight, such as a tied output layer, stay as they are.
- `spectral_norm` in train mode moves its two vectors by power iteration without a graph: they stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn


class Constant(NamedTuple):
    """One kind of thing that was held constant, and what is said of it."""

    kind: str
    said: str


@contextmanager
def held_constant(roots: Mapping[str, Any]) -> Iterator[list[Constant]]:
    """Holds it constant in all modules for the length of a block; what was held."""
    embeddings: list[str] = []
    normalised: list[str] = []
    with ExitStack() as undo:
        for root, owner in roots.items():
            for name, part in owner.named_modules() if isinstance(owner, nn.Module) else ():
                full = ".".join(filter(None, (root, name)))
                if type(part) is nn.Embedding and part.padding_idx is not None and part.weight.requires_grad:
                    undo.enter_context(_padding(part, part.padding_idx))
                    embeddings.append(full)
                for norm in _spectral(part):
                    undo.enter_context(_resting(norm))
                    normalised.append(full)
        yield [*_said_of_padding(embeddings), *_said_of_iteration(normalised)]


def _said_of_padding(names: Sequence[str]) -> Iterator[Constant]:
    if names:
        said = f"{', '.join(names) or 'the embedding'}: torch gives the row padding_idx no gradient on purpose"
        yield Constant("padding", f"{said}; its lookups were held constant")


def _said_of_iteration(names: Sequence[str]) -> Iterator[Constant]:
    if names:
        said = (
            f"{', '.join(names) or 'the module'}: spectral_norm does not differentiate its power iteration, on purpose"
        )
        yield Constant("power-iteration", f"{said}; its vectors were held constant")


@contextmanager
def _padding(embedding: nn.Embedding, row: int) -> Iterator[None]:
    value = embedding.weight.detach()[row].clone()

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...], looked_up: torch.Tensor) -> torch.Tensor:
        return torch.where((inputs[0] == row).unsqueeze(-1), value, looked_up)

    handle = embedding.register_forward_hook(keep, prepend=True)
    try:
        yield
    finally:
        handle.remove()


def _spectral(part: nn.Module) -> Iterator[Any]:
    """What normalises a weight of the module in train mode: torch's parametrization, or its older hook."""
    for found in (part, *part._forward_pre_hooks.values()) if part.training else ():
        # Neither class has a public name.
        if type(found).__module__.startswith("torch.nn.utils.") and hasattr(found, "n_power_iterations"):
            yield found


@contextmanager
def _resting(norm: Any) -> Iterator[None]:
    iterations = norm.n_power_iterations
    norm.n_power_iterations = 0
    try:
        yield
    finally:
        norm.n_power_iterations = iterations
