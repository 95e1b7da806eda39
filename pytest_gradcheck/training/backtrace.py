"""Watching one backward pass node by node: which one turns finite gradients into non-finite ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_gradcheck.training.trace import classify

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    import torch
    from torch.autograd.graph import Node

#: Nodes of a loss that are named.
_MOST = 1000


class BackwardTrace:
    """Hooks on every autograd node behind a loss, or behind several outputs.

    Attributes:
        culprit: The first node in the order of execution that received finite gradients and passed on others, with
            "nan" or "inf"; None where none did.
    """

    def __init__(self, roots: Sequence[torch.Tensor]) -> None:
        self.culprit: tuple[Node, str] | None = None
        self._sums: tuple[Node, str] | None = None
        self._handles = [node.register_hook(self._hook(node)) for node in nodes_behind(roots)]

    def close(self) -> None:
        """Take the hooks off; where only a sum of gradients overflowed, the node that received it is the culprit."""
        for handle in self._handles:
            handle.remove()
        self.culprit = self.culprit or self._sums

    def _hook(self, node: Node) -> Any:
        def look(passed: Sequence[torch.Tensor | None], received: Sequence[torch.Tensor | None]) -> None:
            if self.culprit is not None:
                return
            came = _worst(received)
            if came:
                self._sums = self._sums or (node, came)
                return
            went = _worst(passed)
            if went and self._sums is None:
                self.culprit = (node, went)

        return look


def nodes_behind(roots: Sequence[torch.Tensor]) -> list[Node]:
    """Every autograd node that the backward from these tensors will run."""
    seen: dict[Node, None] = {}
    todo = [root.grad_fn for root in roots]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen[node] = None
            todo += [following for following, _ in node.next_functions]
    return list(seen)


def named(node: str) -> str:
    """The operation whose backward a node of this name is: "log" for "LogBackward0"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", re.sub(r"Backward\d*$", "", node)).lower()


def between(roots: Sequence[Node], ends: Container[Node]) -> list[str]:
    """The operations by which a loss was computed from some outputs.

    Args:
        roots: What backward started from.
        ends: The nodes that made the outputs.
    """
    seen: dict[Node, None] = {}
    todo = list(roots)
    while todo and len(seen) < _MOST:
        node = todo.pop()
        if node not in seen and node not in ends:
            seen[node] = None
            todo += [following for following, _ in node.next_functions if following is not None]
    return list(dict.fromkeys(named(node.name()) for node in seen))


def _worst(grads: Sequence[torch.Tensor | None]) -> str | None:
    found = {classify(grad) for grad in grads if grad is not None} - {None}
    return "nan" if "nan" in found else "inf" if found else None
