"""Whose tensors an init function fills: the module that holds each of them, also through a loop over parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind, ScopeKind
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.init_function import InitFunction
    from gradlint.walk import Tree

_OF_EACH = words("parameters named_parameters modules named_modules children named_children")


@dataclass(frozen=True, eq=False)
class Fill:
    """One tensor that is filled: `root` is the name its expression begins with, `owner` the module that holds it."""

    node: cst.Call
    root: cst.Name
    owner: cst.BaseExpression


def fills(function: InitFunction, tree: Tree, names: Names) -> Iterator[Fill]:
    """What a function fills itself, in text order.

    A tensor or module that comes out of a loop over `model.parameters()` or the like belongs to `model`.
    """
    for call in function.calls:
        found = _described(call.node, call.tensor, tree, names) if call.tensor is not None else None
        if found is not None:
            yield found


def _without_data(tensor: cst.BaseExpression) -> cst.BaseExpression:
    return tensor.value if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data" else tensor


def _described(node: cst.Call, tensor: cst.BaseExpression, tree: Tree, names: Names) -> Fill | None:
    tensor = _without_data(tensor)
    if isinstance(tensor, cst.Attribute):
        owner = tensor.value
    elif isinstance(tensor, cst.Name) and (looped := _loop_owner(tensor, tree, names)) is not None:
        owner = looped
    else:
        return None
    root = owner
    while isinstance(root, (cst.Attribute, cst.Subscript)):
        root = root.value
    if isinstance(root, cst.Name) and root is owner and (looped := _loop_owner(root, tree, names)) is not None:
        return Fill(node, looped, looped)
    return Fill(node, root, owner) if isinstance(root, cst.Name) else None


def _loop_owner(name: cst.Name, tree: Tree, names: Names) -> cst.Name | None:
    """`model` of `for name, p in model.named_parameters()`, where `p` is bound by nothing else."""
    binding = names.reference(name).binding
    if binding is None or binding.kind is not BindingKind.LOOP or binding.scope.kind is ScopeKind.MODULE:
        return None
    loop = tree.enclosing(binding.node, cst.For, cst.CompFor)
    called = loop.iter if isinstance(loop, (cst.For, cst.CompFor)) else None
    if not isinstance(called, cst.Call) or not isinstance(called.func, cst.Attribute):
        return None
    owner = called.func.value
    return owner if called.func.attr.value in _OF_EACH and isinstance(owner, cst.Name) else None
