"""The value that a variable has at a use, also where other blocks of the function bind the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import Binding, BindingKind

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.walk import Tree


def reaching_value(name: cst.Name, tree: Tree, names: Names) -> cst.BaseExpression | None:
    """The value of the last statement before a use that binds the name in a block around it; None if others may.

    The loop in which a name is read before it is bound brings the value of the round before: that is not known.
    """
    value = names.value_at(name)
    reference = names.reference(name)
    if value is not None or reference.scope is not names.scopes.of(name):
        return value
    places = {tree.statement(each.node): each for each in reference.bindings}
    child: cst.CSTNode = name
    for above in tree.ancestors(name):
        if isinstance(above, (cst.IndentedBlock, cst.Module)):
            body = list(above.body)
            for statement in reversed(body[: body.index(child)]):  # type: ignore[arg-type]
                if statement in places:
                    return _assigned(places[statement])
                if _binds_within(statement, places, tree):
                    return None
        if isinstance(above, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            return None
        if isinstance(above, (cst.For, cst.While)) and _binds_within(above, places, tree):
            return None
        child = above
    return None


def _assigned(binding: Binding) -> cst.BaseExpression | None:
    return binding.value if binding.kind is BindingKind.ASSIGNMENT else None


def _binds_within(statement: cst.CSTNode, places: dict[cst.CSTNode, Binding], tree: Tree) -> bool:
    return any(statement is place or statement in tree.ancestors(place) for place in places)
