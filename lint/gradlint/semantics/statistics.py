"""Running statistics: where a class adds something new to a value that it keeps, or has a function do so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradlint.names import Names

_SUMS = (cst.Add, cst.Subtract)
_SCALES = (cst.Multiply, cst.Divide)


@dataclass(frozen=True, eq=False)
class Update:
    """One `self.name = a * self.name + term`: `node` is the statement, `value` what has to be detached.

    `function` is where `term` stands: the method, or the function of the file that is handed the old value and returns
    the new one.
    """

    name: str
    node: cst.Assign | cst.AugAssign
    term: cst.BaseExpression
    value: cst.BaseExpression
    function: cst.FunctionDef


def updates(method: cst.FunctionDef, names: Names) -> Iterator[Update]:
    """The updates in a method, in text order."""
    assigning: Sequence[cst.AugAssign | cst.Assign] = names.tree.below(method.body, cst.AugAssign, cst.Assign)
    for node in assigning:
        if isinstance(node, cst.AugAssign):
            name = names.self_attribute(node.target) if isinstance(node.operator, cst.AddAssign) else None
            if name is not None:
                yield Update(name, node, node.value, node.value, method)
        elif len(node.targets) == 1:
            target = node.targets[0].target
            if isinstance(target, cst.Tuple) and isinstance(node.value, cst.Call):
                yield from _by_function(node, target, node.value, names)
            elif (name := names.self_attribute(target)) is not None:
                for term in _terms(node.value, lambda old, name=name: names.self_attribute(old) == name):  # type: ignore[misc]
                    yield Update(name, node, term, node.value, method)


def _terms(value: cst.BaseExpression, is_old: Callable[[cst.CSTNode], bool]) -> Iterator[cst.BaseExpression]:
    """What a sum adds to the old value, itself or scaled."""
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, _SUMS):
        for old, new in ((value.left, value.right), (value.right, value.left)):
            if _holds(old, is_old):
                yield new
                return


def _holds(value: cst.CSTNode, is_old: Callable[[cst.CSTNode], bool]) -> bool:
    if isinstance(value, cst.BinaryOperation):
        scaled = isinstance(value.operator, _SCALES)
        return scaled and (_holds(value.left, is_old) or _holds(value.right, is_old))
    return is_old(value)


def _by_function(node: cst.Assign, target: cst.Tuple, call: cst.Call, names: Names) -> Iterator[Update]:
    """`y, self.mean = batch_norm(x, self.mean)`, where the function of the file returns `a * mean + term`."""
    binding = names.reference(call.func).binding if isinstance(call.func, cst.Name) else None
    function = binding.node if binding is not None and binding.kind is BindingKind.FUNCTION else None
    if not isinstance(function, cst.FunctionDef) or any(given.star for given in call.args):
        return
    handed = _handed(call, function, names)
    for result in _results(function, len(target.elements), names):
        for element, returned in zip(target.elements, result.elements, strict=True):
            name, value = names.self_attribute(element.value), returned.value
            if name is None or not isinstance(value, cst.Name) or handed.get(value.value) != name:
                continue
            for place in names.reference(value).bindings:
                made = place.value if place.kind is BindingKind.ASSIGNMENT else None
                for term in _terms(made, _is_name(value.value)) if made is not None else ():
                    yield Update(name, node, term, value, function)


def _is_name(name: str) -> Callable[[cst.CSTNode], bool]:
    return lambda old: isinstance(old, cst.Name) and old.value == name


def _handed(call: cst.Call, function: cst.FunctionDef, names: Names) -> dict[str, str]:
    """Which parameter gets which `self.x`."""
    parameters = [each.name.value for each in (*function.params.posonly_params, *function.params.params)]
    found: dict[str, str] = {}
    for index, given in enumerate(call.args):
        attribute = names.self_attribute(given.value)
        to = (
            given.keyword.value if given.keyword is not None else parameters[index] if index < len(parameters) else None
        )
        if attribute is not None and to is not None:
            found[to] = attribute
    return found


def _results(function: cst.FunctionDef, count: int, names: Names) -> Iterator[cst.Tuple]:
    for node in names.tree.below(function.body, cst.Return):
        if isinstance(node.value, cst.Tuple) and len(node.value.elements) == count:
            yield node.value
