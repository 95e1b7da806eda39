"""Calls of the file's own functions that build layers: which expression such a call returns, with which arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import UNKNOWN, Environment, constant
from gradlint.scopes import BindingKind
from gradlint.walk import Tree

if TYPE_CHECKING:
    from gradlint.names import Names


def inlined_call(
    call: cst.Call, tree: Tree, names: Names, known: Environment
) -> tuple[cst.BaseExpression, Environment] | None:
    """What the called function returns, and its parameters' values; None where it has not exactly one `return`."""
    function = _called(call, names)
    if function is None or function.decorators:
        return None
    returns = [
        node for node in tree.below(function.body, cst.Return) if tree.enclosing(node, cst.FunctionDef) is function
    ]
    if len(returns) != 1 or returns[0].value is None:
        return None
    given = arguments(call, function, names, known)
    return None if given is None else (returns[0].value, given)


def arguments(call: cst.Call, function: cst.FunctionDef, names: Names, known: Environment) -> Environment | None:
    """The literal values of a function's parameters in a call; None where arguments are starred."""
    parameters = [*function.params.posonly_params, *function.params.params]
    bound_to_self = isinstance(names.scopes.of(function).node, cst.ClassDef)
    positional = parameters[1:] if bound_to_self else parameters
    everyone = [*parameters, *function.params.kwonly_params]
    found = {each.name.value: constant(each.default, names) if each.default else UNKNOWN for each in everyone}
    if any(given.star for given in call.args):
        return None
    for index, given in enumerate(call.args):
        name = given.keyword.value if given.keyword is not None else None
        if name is None and index < len(positional):
            name = positional[index].name.value
        if name is not None:
            found[name] = constant(given.value, names, known)
    return found


def _called(call: cst.Call, names: Names) -> cst.FunctionDef | None:
    """The function of this file, or the method of `self`, that a call runs."""
    if isinstance(call.func, cst.Name):
        binding = names.reference(call.func).binding
        is_function = binding is not None and binding.kind is BindingKind.FUNCTION
        return binding.node if is_function and isinstance(binding.node, cst.FunctionDef) else None  # type: ignore[union-attr]
    method = names.self_attribute(call.func)
    if method is None or not isinstance(call.func, cst.Attribute):
        return None
    owner = names.self_class(call.func.value)
    found = [node for node in (owner.body.body if owner is not None else ()) if isinstance(node, cst.FunctionDef)]
    return next((node for node in found if node.name.value == method), None)
