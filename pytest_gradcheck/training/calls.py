"""The forward calls of somebody's loop: noted as they happen, and run again when their step fails."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import Node
from torch.utils._pytree import tree_leaves, tree_map

from pytest_gradcheck.training.backtrace import between, nodes_behind
from pytest_gradcheck.training.bad_batch import tensors_of
from pytest_gradcheck.training.numbers import SANE, has_numbers, non_finite, real_values, total, values_of
from pytest_gradcheck.training.replay import Root

#: Calls of one step that are kept: as many micro-batches can be run again.
KEPT = 16


@dataclass
class Call:
    """One forward call of the model, or of one of its children where the loop calls these.

    Attributes:
        module: What was called.
        args: With which arguments.
        kwargs: With which keyword arguments.
        outputs: The tensors that came out, cut off from the graph.
        grads: The gradient that each of them got, by its place.
        done: Whether it came to its end.
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[torch.Tensor] = field(default_factory=list)
    grads: dict[int, torch.Tensor] = field(default_factory=dict)
    done: bool = False


class _Marked:
    """The autograd nodes that made an output: marked in the graph itself, which lives no longer for it."""

    def add(self, node: Node) -> None:
        """Mark a node."""
        node.metadata[self] = True  # type: ignore[index]

    def __contains__(self, node: Any) -> bool:
        return self in node.metadata


class Calls:
    """Notes the outermost forward calls in training of a model and of its children.

    Args:
        model: The model.
        begin: Called before the first call of a step.
    """

    def __init__(self, model: nn.Module, begin: Callable[[], None]) -> None:
        self._begin, self._depth = begin, 0
        self._calls: deque[Call] = deque(maxlen=KEPT)
        self._made, self._count = _Marked(), 0
        self.paused, self._stale, self._repeated = False, True, 0.0
        self._handles = []
        for module in (model, *model.children()):
            self._handles.append(module.register_forward_pre_hook(self._before, prepend=True, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._after, with_kwargs=True, always_call=True))

    def __len__(self) -> int:
        return len(self._calls)

    def close(self) -> None:
        """Stop noting."""
        for handle in self._handles:
            handle.remove()
        self._clear()

    def stale(self) -> None:
        """A step was taken: the next call begins another one."""
        self._stale = True

    @property
    def inputs(self) -> list[Any]:
        """What came into the step: arguments that no other call made; words, too, which a mask may stand beside."""
        given = (leaf for call in self._calls for _, leaf in tensors_of((call.args, call.kwargs)))
        return [leaf for leaf in given if not leaf.requires_grad]

    @property
    def same(self) -> bool:
        """Whether running the calls again gave the same sum of outputs."""
        before = sum(total(output) for call in self._calls for output in call.outputs)
        return before == self._repeated or (math.isnan(before) and math.isnan(self._repeated))

    @property
    def spoilt(self) -> bool:
        """Whether an output holds a nan or +inf; what is masked out is -inf on purpose."""
        outputs = (real_values(output) for call in self._calls for output in call.outputs)
        return any(non_finite(torch.where(output == -math.inf, 0, output)) for output in outputs)

    @property
    def complete(self) -> bool:
        """Whether all calls of the step were kept."""
        return self._count == len(self._calls)

    @property
    def raised(self) -> bool:
        """Whether the last call ended with an error, or goes on."""
        return bool(self._calls) and not self._calls[-1].done

    def made_of(self, roots: Sequence[Node]) -> list[str]:
        """The operations that the loop computed its loss with from finite outputs of moderate size; else none."""
        outputs = [values_of(output) for call in self._calls for output in call.outputs]
        if not all(bool((output.abs() < SANE).all()) for output in outputs):
            return []
        return between(roots, self._made)

    def bad_gradient(self) -> str | None:
        """ "nan" or "inf" where a gradient that the loss sent into the model holds one."""
        grads = (values_of(grad) for call in self._calls for grad in call.grads.values())
        return next(filter(None, map(non_finite, grads)), None)

    def again(self) -> list[Root]:
        """Run all calls again, each from its own inputs; what their backward passes start from."""
        calls, roots = list(self._calls), []
        self._repeated = 0.0
        for call in calls:
            args, kwargs = tree_map(_cut, (call.args, call.kwargs))
            outputs = list(_tensors(call.module(*args, **kwargs)))
            self._repeated += sum(map(total, outputs))
            roots += [(tensor, call.grads.get(place)) for place, tensor in enumerate(outputs)]
        # an output that another one is made of gets its gradient from there
        inner = {node for tensor, _ in roots for node in nodes_behind([tensor])[1:]}
        kept = [(tensor, grad) for tensor, grad in roots if tensor.grad_fn is None or tensor.grad_fn not in inner]
        return [Root(tensor, torch.zeros_like(tensor) if grad is None else grad) for tensor, grad in kept]

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self._depth and not self.paused and torch.is_grad_enabled():
            if self._stale:
                self._clear()
                self._stale = False
                self._begin()
            if _from_graph((*args, *kwargs.values())):
                args, kwargs = tree_map(_cut, (args, kwargs))
            self._calls.append(Call(module, args, dict(kwargs)))
            self._count += 1
        self._depth += 1

    def _after(self, module: nn.Module, _: Any, __: Any, output: Any) -> None:
        self._depth -= 1
        if self._depth or self.paused or not self._calls or self._calls[-1].module is not module:
            return
        call = self._calls[-1]
        grads = call.grads  # a hook that held the call would keep its graph alive in a cycle
        call.done = output is not None
        for place, tensor in enumerate(_tensors(output)):
            call.outputs.append(tensor.detach())
            if tensor.grad_fn is not None:
                self._made.add(tensor.grad_fn)
            if tensor.requires_grad:
                tensor.register_hook(lambda grad, place=place: grads.__setitem__(place, grad.detach()))  # type: ignore[no-untyped-call]

    def _clear(self) -> None:
        for call in self._calls:
            call.grads.clear()  # which hooks in a graph that the loop retains still hold
        self._calls.clear()
        self._count = 0


def _from_graph(part: Any) -> bool:
    """Whether a tensor in it was computed with a gradient: to keep it would keep what it was computed with."""
    if isinstance(part, torch.Tensor):
        return part.grad_fn is not None
    if isinstance(part, dict):
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return False
    return any(map(_from_graph, part))


def _cut(leaf: Any) -> Any:
    if not isinstance(leaf, torch.Tensor):
        return leaf
    return leaf.detach().requires_grad_(leaf.requires_grad)


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    """The floating and complex tensors in containers, also in mappings that pytree does not know."""
    for leaf in tree_leaves(tree):
        if has_numbers(leaf):
            yield leaf
        elif isinstance(leaf, Mapping):
            yield from _tensors(dict(leaf))
