"""Padding rows of embeddings, to which torch gives no gradient on purpose.

`nn.Embedding(padding_idx=k)` drops the gradient of every lookup of row `k`: a difference quotient sees that lookup, so
a right gradient would be called wrong. What is checked is therefore the function that torch differentiates: lookups of
the padding row give a constant. Other uses of the same weight, such as a tied output layer, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def constant_padding(roots: Mapping[str, Any]) -> Iterator[list[str]]:
    """Make lookups of padding rows constant for the length of a block; the names of the embeddings concerned."""
    names: list[str] = []
    with ExitStack() as hooks:
        for root, owner in roots.items():
            for name, part in owner.named_modules() if isinstance(owner, nn.Module) else ():
                if type(part) is nn.Embedding and part.padding_idx is not None and part.weight.requires_grad:
                    hooks.enter_context(_constant(part, part.padding_idx))
                    names.append(".".join(filter(None, (root, name))))
        yield names


@contextmanager
def _constant(embedding: nn.Embedding, row: int) -> Iterator[None]:
    value = embedding.weight.detach()[row].clone()

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...], looked_up: torch.Tensor) -> torch.Tensor:
        return torch.where((inputs[0] == row).unsqueeze(-1), value, looked_up)

    handle = embedding.register_forward_hook(keep, prepend=True)
    try:
        yield
    finally:
        handle.remove()
