"""Walking an autograd graph from its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch


def nodes(outputs: Sequence[torch.Tensor]) -> Iterator[Any]:
    """Every node of the graph behind the outputs, each once."""
    waiting: list[Any] = [output.grad_fn for output in outputs]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [following for following, _ in node.next_functions]


def reached(outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The leaf tensors that a backward from the outputs would reach, each once."""
    leaves = [node.variable for node in nodes(outputs) if hasattr(node, "variable")]
    leaves += [output for output in outputs if output.requires_grad and output.grad_fn is None]
    return list({id(leaf): leaf for leaf in leaves}.values())
