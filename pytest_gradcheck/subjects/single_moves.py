"""Rows that differ from a leaf in one element each: what that element does not reach is computed once for all rows.

A part of the leaf in which no row moves anything (the keys' weights, while those of the queries move) is the leaf's
own. A matrix product with a moved matrix is the product with the leaf's, plus what one element adds to one output
feature: `x (W + d e_i e_j') = x W + (x e_i) d e_j'`. Neither is an approximation, and the numbers count only where they
are those of plain evaluations, like all that comes out of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from pytest_gradcheck.subjects.subject import Moves

#: What only shows the elements of its first argument in another shape or order, or some of them.
VIEWS: frozenset[Any] = frozenset(
    found
    for owner in (torch, Tensor)
    for name in (
        "chunk",
        "detach",
        "flatten",
        "movedim",
        "narrow",
        "permute",
        "ravel",
        "reshape",
        "select",
        "split",
        "split_with_sizes",
        "squeeze",
        "swapaxes",
        "t",
        "tensor_split",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
        "__getitem__",
    )
    if (found := getattr(owner, name, None)) is not None
) | {getter for name in ("T", "mT") if (getter := getattr(getattr(Tensor, name), "__get__", None)) is not None}
PLAIN: frozenset[Any] = frozenset([Tensor, torch.nn.Parameter])
LINEAR: frozenset[Any] = frozenset([functional.linear])
PRODUCTS: frozenset[Any] = frozenset([torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__])


@dataclass(eq=False)
class _Part:
    """A view of the stand-in, and the same view of the leaf and of its elements' positions."""

    value: Tensor
    own: Tensor
    index: Tensor

    @cached_property
    def inverse(self) -> Tensor | None:
        """Where in this part each element of the leaf is, -1 for nowhere; None where one is here twice."""
        flat = self.index.reshape(-1)
        here = torch.arange(len(flat), device=flat.device)
        found = torch.full((1 + int(flat.max()),) if len(flat) else (0,), -1, device=flat.device)
        found[flat] = here
        return found if torch.equal(found[flat], here) else None


class SingleMoves(TorchFunctionMode):
    """Uses for the length of a block that each row of a stand-in is the leaf but for one element.

    To be entered inside of what is vmapped.

    Args:
        value: The stand-in, one row of a batch.
        moves: What all rows move.
        place: The flat position of the row's element; shape ().
        by: How far the row moves it; shape ().
    """

    def __init__(self, value: Tensor, moves: Moves, place: Tensor, by: Tensor) -> None:
        super().__init__()
        own = moves.own
        self._place, self._by = place, by
        self._moved = torch.zeros(own.numel(), dtype=torch.bool, device=own.device)
        self._moved[moves.places] = True
        self._parts: dict[int, _Part] = {}
        self._factors: dict[int, tuple[Tensor, Tensor]] = {}
        self._note(value, own, torch.arange(own.numel(), device=own.device).view(own.shape))

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in VIEWS:
            part = self._parts.get(id(args[0])) if args else None
            if part is not None and all(map(_shapes, (*args[1:], *kwargs.values()))):
                return self._viewed(part, lambda tensor: func(tensor, *args[1:], **kwargs))
        elif func in LINEAR or func in PRODUCTS:
            part = self._parts.get(id(args[1])) if len(args) > 1 else None
            factors = self._split(part, func in LINEAR) if part is not None and args[0].dim() else None
            if part is not None and factors is not None:
                return self._product(func(args[0], part.own, *args[2:], **kwargs), args[0], *factors)
        elif isinstance(func, FunctionType) and {*types} <= PLAIN and self._holds(args, kwargs):
            with self:
                return _opened(func)(*args, **kwargs)
        return func(*args, **kwargs)

    def _holds(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        return any(id(given) in self._parts for given in (*args, *kwargs.values()))

    def _note(self, value: Tensor, own: Tensor, index: Tensor) -> Tensor:
        """Remembers a part; returns its value, which is the leaf's own where no row moves anything in it."""
        if not bool(self._moved[index.reshape(-1)].any()):
            return own
        self._parts[id(value)] = _Part(value, own, index)
        return value

    def _viewed(self, part: _Part, view: Callable[[Tensor], Any]) -> Any:
        found = view(part.value)
        if isinstance(found, Tensor):
            return self._note(found, view(part.own), view(part.index))
        parts = zip(found, view(part.own), view(part.index), strict=True)
        return type(found)(self._note(*views) for views in parts)

    def _split(self, part: _Part, linear: bool) -> tuple[Tensor, Tensor] | None:
        """The row's input feature, and its share of every output feature, of a part that is a matrix."""
        if part.index.dim() != 2 or part.inverse is None:
            return None
        if id(part) not in self._factors:
            place = self._place.reshape(1)
            here = part.inverse.gather(0, place.clamp(max=len(part.inverse) - 1))
            here = torch.where(place < len(part.inverse), here, -1)
            rows, columns = here // part.index.shape[1], here % part.index.shape[1]
            source, target = (columns, rows) if linear else (rows, columns)
            outputs = torch.arange(part.index.shape[0 if linear else 1], device=here.device)
            self._factors[id(part)] = source.clamp(min=0), torch.where((outputs == target) & (here >= 0), self._by, 0)
        return self._factors[id(part)]

    def _product(self, plain: Tensor, x: Tensor, source: Tensor, share: Tensor) -> Tensor:
        return torch.addcmul(plain, x.index_select(-1, source), share)


def _shapes(given: Any) -> bool:
    """Whether an argument of a view is only about places: neither a tensor, nor another type to see the bits as."""
    if isinstance(given, (tuple, list)):
        return all(map(_shapes, given))
    return given is None or given is Ellipsis or isinstance(given, (int, slice))


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
