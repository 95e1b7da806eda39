"""Watching one forward pass operation by operation: where the first non-finite number comes from, and where it goes."""

from __future__ import annotations

import contextlib
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from pytest_gradcheck.training.numbers import has_numbers, values_of
from pytest_gradcheck.training.source import line_of_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

# What places -inf on purpose: attention masks are made of these.
_MASKING = {"masked_fill", "masked_fill_", "full", "full_like", "fill", "fill_", "where", "scalar_tensor", "new_full"}


# What moves numbers to another place beside views, and computes none.
_MOVING = {"clone", "_to_copy", "copy_", "lift_fresh"}
_SOFTMAX = {"_softmax", "_log_softmax"}
_LABELLED = {"nll_loss_forward", "nll_loss2d_forward"}
# Raises where a code says that an operation before it found a matrix unfit.
_CHECK = torch.ops.aten._linalg_check_errors.default


@dataclass(frozen=True)
class Event:
    """An operation whose result is not finite.

    Attributes:
        index: Position among all such operations, in the order they ran.
        op: Its name, such as "aten.log".
        module: Qualified name of the innermost module that ran it; None outside the model, in the loss.
        source: "file.py:line" of the user's code, or None where there is none between the run and torch.
        value: "nan", "inf", or "-inf" where the result holds nothing else.
        dtype: Of the result.
        largest: Largest magnitude among its finite inputs.
        parents: The operations whose non-finite results it read.
        mask: Whether it only places or passes on -inf, as masks do.
        numbers: How many numbers its inputs hold.
        masked: Whether it is a softmax of which a row that it normalises is -inf throughout.
        moves: Whether it only moves numbers, as a copy or a view.
        given: Whether its numbers come from what no operation had made, such as a buffer, by nothing but moves.
        ignored: Whether it averages over labels of which each has the index that it ignores.
    """

    index: int
    op: str
    module: str | None
    source: str | None
    value: str
    dtype: torch.dtype
    largest: float
    parents: tuple[Event, ...]
    mask: bool
    numbers: int = 1
    masked: bool = False
    moves: bool = False
    given: bool = False
    ignored: bool = False

    def origin(self) -> Event:
        """The earliest operation on the way to this one that read nothing non-finite."""
        seen, todo, origins = set(), [self], []
        while todo:
            event = todo.pop()
            if event.index in seen:
                continue
            seen.add(event.index)
            parents = [parent for parent in event.parents if not parent.mask]
            todo += parents
            if not parents:
                origins.append(event)
        return min(origins, key=lambda event: event.index)


class ForwardTrace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation with a non-finite result, by the tensor that holds it.

    Attributes:
        first: The first such operation that is no mask's, or None.
        modules: Names of the modules that run, outermost first; whoever traces keeps them.
        raised: Whether an operation raised that read such a result, and does not with other numbers in its place.
        spoilt: Whether an operation that is no copy gave one because of what no operation had made, such as a buffer.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.first: Event | None = None
        self.modules: list[str] = []
        self.raised = self.spoilt = False
        # By identity of the tensor, which is kept alive so that no other can take its place.
        self._bad: dict[int, tuple[torch.Tensor, Event]] = {}
        # The codes by which linear algebra says that a matrix was unfit, with the call that gave them.
        self._codes: dict[int, tuple[torch.Tensor, Any, tuple[Any, ...], dict[str, Any]]] = {}
        self._count = 0

    def event_of(self, tensor: torch.Tensor) -> Event | None:
        """The operation that gave this tensor its non-finite numbers, if one did."""
        found = self._bad.get(id(tensor))
        return found[1] if found else None

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        inputs = list(_numbers((args, kwargs)))
        # Looked up before the call: an operation in place may overwrite what it reads.
        parents = tuple({event.index: event for item in inputs if (event := self.event_of(item))}.values())
        outside = [classify(item) for item in inputs if self.event_of(item) is None]
        largest = max(map(_largest, inputs), default=0.0) if not parents and not any(outside) else math.inf
        real = [parent for parent in parents if not parent.mask]
        try:
            out = func(*args, **(kwargs or {}))
        except Exception:
            self.raised = self._is_theirs(func, args, kwargs or {}, bool(real))
            raise
        if real and func is not _CHECK:
            self._codes.update({id(code): (code, func, args, kwargs or {}) for code in _codes(out)})
        for tensor in _numbers(out):
            value = classify(tensor)
            if value is None:
                self._bad.pop(id(tensor), None)
                continue
            name = str(func.overloadpacket)
            short = name.rpartition(".")[2]
            masks = [parent.mask for parent in parents] + [kind == "-inf" for kind in outside if kind]
            mask = value == "-inf" and (short in _MASKING or (bool(masks) and all(masks)))
            module, source = self.modules[-1] if self.modules else None, line_of_frame(sys._getframe())
            given = all(parent.given and parent.moves for parent in real) if real else any(outside)
            event = Event(
                self._count, name, module, source, value, tensor.dtype, largest, parents, mask,
                sum(item.numel() for item in inputs), short in _SOFTMAX and _masked_out(*args[:2]),
                short in _MOVING or func.is_view, given, short in _LABELLED and _all_ignored(*args),
            )  # fmt: skip
            self._count += 1
            self._bad[id(tensor)] = (tensor, event)
            if self.first is None and not mask:
                self.first = event
            self.spoilt = self.spoilt or (not mask and given and not event.moves)
        return out

    def _is_theirs(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], reads_them: bool) -> bool:
        """Whether an operation raised because of such a result, itself or by a code that another one gave of it."""
        known = self._codes.get(id(args[0])) if func is _CHECK else None
        if known is None:
            return reads_them and _bears_others(func, args, kwargs)
        _, solve, given, named = known
        return _bears_others(lambda *items, **more: func(solve(*items, **more)[-1], *args[1:], **kwargs), given, named)


@contextlib.contextmanager
def module_stack(model: nn.Module, stack: list[str]) -> Iterator[dict[torch.autograd.graph.Node, str | None]]:
    """Keep `stack` at the names of the modules that run; gives each autograd node the name of the module that made it.

    None stands for what was made before the model was called.
    """
    owners: dict[torch.autograd.graph.Node, str | None] = {}

    def claim(tensors: Any, name: str | None) -> None:
        todo = [leaf.grad_fn for leaf in tree_leaves(tensors) if isinstance(leaf, torch.Tensor)]
        while todo:
            node = todo.pop()
            if node is not None and node not in owners:
                owners[node] = name
                todo += [following for following, _ in node.next_functions]

    def enter(name: str, inputs: Any) -> None:
        claim(inputs, stack[-1] if stack else None)  # what the caller made of the child's inputs is the caller's
        stack.append(name)

    def leave(name: str, output: Any) -> None:
        stack.pop()
        # Children leave before their parents, so whatever has no owner yet was made in this module itself.
        claim(output, name)

    handles = []
    for name, module in model.named_modules():
        before = lambda _, args, kwargs, name=name: enter(name, (args, kwargs))  # noqa: E731
        handles.append(module.register_forward_pre_hook(before, prepend=True, with_kwargs=True))
        hook = lambda *items, name=name: leave(name, items[-1])  # noqa: E731
        handles.append(module.register_forward_hook(hook, always_call=True))
    try:
        yield owners
    finally:
        for handle in handles:
            handle.remove()


def classify(tensor: torch.Tensor) -> str | None:
    """ "nan", "inf", "-inf" where the tensor holds nothing else that is not finite, or None where all is finite."""
    tensor = values_of(tensor.detach())
    if bool(torch.isfinite(tensor).all()):
        return None
    if bool(torch.isnan(tensor).any()):
        return "nan"
    return "inf" if tensor.is_complex() or bool((tensor == math.inf).any()) else "-inf"


def _masked_out(tensor: torch.Tensor, dim: int) -> bool:
    return bool(tensor.numel()) and bool((tensor == -math.inf).all(dim).any())


def _all_ignored(_: Any, labels: torch.Tensor, __: Any, ___: Any, index: int) -> bool:
    return bool(labels.numel()) and bool((labels == index).all())


def _bears_others(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operation that raised does not once its inputs are finite: a wrong shape or index stays wrong."""
    for ordinary in (_finite, _identity):  # a matrix of zeros has no Cholesky factor
        with contextlib.suppress(Exception):
            others, named = tree_map(lambda leaf, to=ordinary: to(leaf) if _is_bad(leaf) else leaf, (args, kwargs))
            func(*others, **named)
            return True
    return False


def _is_bad(leaf: Any) -> bool:
    return has_numbers(leaf) and classify(leaf) is not None


def _finite(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.nan_to_num(0.0, 0.0, 0.0)


def _identity(tensor: torch.Tensor) -> torch.Tensor:
    """Identity matrices in a tensor's shape; raises ValueError where it has none."""
    *_, rows, columns = tensor.shape
    return torch.eye(rows, columns, dtype=tensor.dtype, device=tensor.device).expand(tensor.shape)


def _codes(out: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor) and leaf.dtype is torch.int32]


def _largest(tensor: torch.Tensor) -> float:
    values = values_of(tensor.detach())
    return float(values.abs().max()) if values.numel() else 0.0


def _numbers(tree: Any) -> Iterator[torch.Tensor]:
    for leaf in tree_leaves(tree):
        if has_numbers(leaf):
            yield leaf
