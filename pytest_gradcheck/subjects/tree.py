"""Nested containers: naming the tensors in them, and rebuilding them with other tensors in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch


def tensors(tree: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in a tree of mappings, lists, tuples, named tuples and dataclasses, with its breadcrumb.

    Breadcrumbs read like the expression that reaches the tensor: `input1[0]`, `input0["mask"]`, `input0.data`.
    """
    if isinstance(tree, torch.Tensor):
        yield name, tree
        return
    for crumb, child in _children(tree):
        yield from tensors(child, name + crumb)


def replace(tree: Any, make: Callable[[str, torch.Tensor], Any], name: str = "") -> Any:
    """A copy of the tree's containers in which every tensor became `make(breadcrumb, tensor)`; other leaves stay."""
    if isinstance(tree, torch.Tensor):
        return make(name, tree)
    children = [replace(child, make, name + crumb) for crumb, child in _children(tree)]
    if not children:
        return tree
    if isinstance(tree, Mapping):
        return _mapping(tree, dict(zip(tree, children, strict=True)))
    if _is_named_tuple(tree):
        return type(tree)(*children)
    if isinstance(tree, (list, tuple)):
        return type(tree)(children)
    kept = {field.name: child for field, child in zip(dataclasses.fields(tree), children, strict=True)}
    return dataclasses.replace(tree, **kept)


def _children(tree: Any) -> list[tuple[str, Any]]:
    # Mappings come first: Hugging Face's outputs are ordered dicts and dataclasses at once.
    if isinstance(tree, Mapping):
        return [(f"[{key!r}]" if not isinstance(key, str) else f'["{key}"]', child) for key, child in tree.items()]
    if _is_named_tuple(tree):
        return [(f".{field}", child) for field, child in zip(tree._fields, tree, strict=True)]
    if isinstance(tree, (list, tuple)):
        return [(f"[{index}]", child) for index, child in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(f".{field.name}", getattr(tree, field.name)) for field in dataclasses.fields(tree)]
    return []


def _is_named_tuple(tree: Any) -> bool:
    return isinstance(tree, tuple) and hasattr(tree, "_fields")


def _mapping(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the same type, or a plain dict where that type wants other arguments."""
    try:
        return type(original)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
