"""The value of an expression when it is written in the code: literals, names bound once to one, small arithmetic."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import libcst as cst

from gradlint.scopes import BindingKind, ScopeKind

if TYPE_CHECKING:
    from gradlint.names import Names


class _Unknown:
    """The answer when the code does not say; false, and equal only to itself."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
Environment = Mapping[str, object]
_LONGEST = 10_000  # items of a range or product that are still written out

_BINARY: Final[dict[type[cst.BaseBinaryOp], Callable[[Any, Any], object]]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.Divide: operator.truediv,
    cst.FloorDivide: operator.floordiv,
    cst.Modulo: operator.mod,
    cst.Power: operator.pow,
}
_WORDS: Final[dict[str, object]] = {"True": True, "False": False, "None": None}


def constant(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> object:
    """The number, string, bool, None or tuple an expression always is, else UNKNOWN.

    `known` gives the values of names that the caller has bound, such as the variable of a loop it unrolls.
    """
    if isinstance(expression, (cst.Integer, cst.Float, cst.SimpleString)):
        return _literal(expression.value)
    if isinstance(expression, cst.Name):
        return _name(expression, names, known or {})
    if isinstance(expression, cst.UnaryOperation) and isinstance(expression.operator, cst.Minus):
        value = constant(expression.expression, names, known)
        return -value if isinstance(value, (int, float)) else UNKNOWN
    if isinstance(expression, cst.BinaryOperation):
        left, right = constant(expression.left, names, known), constant(expression.right, names, known)
        return _arithmetic(type(expression.operator), left, right)
    if isinstance(expression, (cst.Tuple, cst.List)):
        values = tuple(constant(element.value, names, known) for element in expression.elements)
        starred = any(isinstance(element, cst.StarredElement) for element in expression.elements)
        return UNKNOWN if starred or any(value is UNKNOWN for value in values) else values
    if isinstance(expression, cst.Subscript):
        return _item(expression, names, known)
    if isinstance(expression, cst.Call):
        return _call(expression, names, known)
    return UNKNOWN


def integer(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> int | None:
    """The whole number an expression always is, or None."""
    value = constant(expression, names, known)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> float | None:
    """The number an expression always is, or None."""
    value = constant(expression, names, known)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _literal(text: str) -> object:
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return UNKNOWN
    return value if isinstance(value, (int, float, str)) else UNKNOWN


def _name(name: cst.Name, names: Names, known: Environment) -> object:
    if name.value in known:
        return known[name.value]
    if name.value in _WORDS:
        return _WORDS[name.value]
    binding = names.reference(name).binding
    if binding is None or binding.kind is not BindingKind.ASSIGNMENT or binding.scope.kind is ScopeKind.CLASS:
        return UNKNOWN
    # Only numbers and strings stay what they were bound to; a list can grow.
    if isinstance(binding.value, cst.List):
        return UNKNOWN
    # A loop's names mean nothing where this one was bound; those being followed must not be asked again.
    following = {each: UNKNOWN for each, value in known.items() if value is UNKNOWN}
    return constant(binding.value, names, {**following, name.value: UNKNOWN})


def _arithmetic(kind: type[cst.BaseBinaryOp], left: object, right: object) -> object:
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    huge = kind is cst.Power and numbers and max(abs(left), abs(right)) > 1000  # type: ignore[arg-type]
    if kind not in _BINARY or not numbers or huge:
        return UNKNOWN
    try:
        return _BINARY[kind](left, right)
    except ArithmeticError:
        return UNKNOWN


def _item(expression: cst.Subscript, names: Names, known: Environment | None) -> object:
    values = constant(expression.value, names, known)
    only = expression.slice[0].slice if len(expression.slice) == 1 else None
    index = integer(only.value, names, known) if isinstance(only, cst.Index) else None
    if isinstance(values, tuple) and index is not None and -len(values) <= index < len(values):
        item: object = values[index]
        return item
    return UNKNOWN


def _call(call: cst.Call, names: Names, known: Environment | None) -> object:
    if any(argument.star or argument.keyword for argument in call.args):
        return UNKNOWN
    function = names.full_name(call.func)
    values = [constant(argument.value, names, known) for argument in call.args]
    if function == "builtins.len" and len(values) == 1 and isinstance(values[0], tuple):
        return len(values[0])
    if function == "builtins.range" and 1 <= len(values) <= 3:
        bounds = [value for value in values if isinstance(value, int)]
        if len(bounds) == len(values) and 0 not in bounds[2:]:
            numbers = range(*bounds)
            return tuple(numbers) if len(numbers) <= _LONGEST else UNKNOWN
    return UNKNOWN
