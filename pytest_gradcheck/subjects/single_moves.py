"""Rows that differ from a leaf in one element each: what that element does not reach is computed once for all rows.

A part of the leaf in which no row moves anything (the keys' weights, while those of the queries move) is the leaf's
own. A matrix product with a moved matrix is the product with the leaf's, plus what one element adds to one output
feature: `x (W + d e_i e_j') = x W + (x e_i) d e_j'`. Neither is an approximation, and the numbers count only where they
are those of plain evaluations, like all that comes out of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

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
LINEAR: frozenset[Any] = frozenset([functional.linear])
PRODUCTS: frozenset[Any] = frozenset([torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__])


class _Part(NamedTuple):
    """A view of the stand-in, and the same view of the leaf and of its elements' positions."""

    value: Tensor
    own: Tensor
    place: Tensor


class SingleMoves:
    """What follows for torch's functions from each row of a stand-in being the leaf but for one element.

    Args:
        value: The stand-in, one row of a batch.
        moves: What all rows move.
        place: The flat position of the row's element; shape (1,).
        by: How far the row moves it; shape ().
    """

    def __init__(self, value: Tensor, moves: Moves, place: Tensor, by: Tensor) -> None:
        own = moves.own
        self._places, self._place, self._by = moves.places, place, by
        self._numel = own.numel()
        self._parts: dict[int, _Part] = {}
        self._shares: dict[tuple[int, bool], tuple[Tensor, Tensor] | None] = {}
        self._note(value, own, torch.arange(own.numel(), device=own.device).view(own.shape))

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the function returns, found in a cheaper way; NotImplemented where there is none."""
        if func in VIEWS:
            part = self._parts.get(id(args[0])) if args else None
            if part is not None and all(map(_shapes, (*args[1:], *kwargs.values()))):
                return self._viewed(part, lambda tensor: func(tensor, *args[1:], **kwargs))
        elif func in LINEAR or func in PRODUCTS:
            part = self._parts.get(id(args[1])) if len(args) > 1 else None
            share = self._share(part, func in LINEAR) if part is not None and args[0].dim() else None
            if part is not None and share is not None:
                return self._product(func(args[0], part.own, *args[2:], **kwargs), args[0], *share)
        return NotImplemented

    def _note(self, value: Tensor, own: Tensor, index: Tensor) -> Tensor:
        """Remembers a part; returns its value, which is the leaf's own where no row moves anything in it."""
        here = torch.zeros(self._numel, dtype=torch.bool, device=index.device)
        here[index.reshape(-1)] = True
        if not bool(here[self._places].any()):
            return own
        self._parts[id(value)] = _Part(value, own, index)
        return value

    def _viewed(self, part: _Part, view: Callable[[Tensor], Any]) -> Any:
        found = view(part.value)
        if isinstance(found, Tensor):
            return self._note(found, view(part.own), view(part.place))
        parts = zip(found, view(part.own), view(part.place), strict=True)
        return type(found)(self._note(*views) for views in parts)

    def _share(self, part: _Part, linear: bool) -> tuple[Tensor, Tensor] | None:
        """The input feature that the row's element weighs, and what it adds to each output feature per unit of that.

        None for a part that is no matrix, or in which an element stands twice.
        """
        key = id(part.value), linear
        if key not in self._shares:
            self._shares[key] = self._found(part.place if linear else part.place.T) if part.place.dim() == 2 else None
        return self._shares[key]

    def _found(self, index: Tensor) -> tuple[Tensor, Tensor] | None:
        flat = index.reshape(-1)
        here = torch.arange(len(flat), device=flat.device)
        table = torch.full((self._numel,), -1, device=flat.device)
        table[flat] = here
        if not torch.equal(table[flat], here):
            return None
        source, target = table.clamp(min=0) % index.shape[1], table.div(index.shape[1], rounding_mode="floor")
        outputs = torch.arange(len(index), device=flat.device)
        share = torch.where(outputs == target.gather(0, self._place), self._by, 0)
        return source.gather(0, self._place), share

    def _product(self, plain: Tensor, x: Tensor, source: Tensor, share: Tensor) -> Tensor:
        return torch.addcmul(plain, x.index_select(-1, source), share)


def _shapes(given: Any) -> bool:
    """Whether an argument of a view is only about places: neither a tensor, nor another type to see the bits as."""
    if isinstance(given, (tuple, list)):
        return all(map(_shapes, given))
    return given is None or given is Ellipsis or isinstance(given, (int, slice))
