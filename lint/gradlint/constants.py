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
_COMPARING: Final[dict[type[cst.BaseCompOp], Callable[[Any, Any], object]]] = {
    cst.Equal: operator.eq,
    cst.NotEqual: operator.ne,
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
}
_WORDS: Final[dict[str, object]] = {"True": True, "False": False, "None": None}


def constant(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> object:
    """The number, string, bool, None or tuple an expression always is, else UNKNOWN.

    `known` gives the values of names that the caller has bound, such as the variable of a loop it unrolls.
    """
    read = _READ.get(type(expression))
    return UNKNOWN if read is None else read(expression, names, known)


def iterated(
    expression: cst.CSTNode | None, names: Names, known: Environment | None = None
) -> tuple[object, ...] | None:
    """What a loop over an expression runs through, where its length is written in the code; items may be UNKNOWN."""
    if isinstance(expression, (cst.Tuple, cst.List)):
        if any(isinstance(element, cst.StarredElement) for element in expression.elements):
            return None
        return tuple(constant(element.value, names, known) for element in expression.elements)
    if isinstance(expression, cst.Subscript):
        return _sliced(expression, names, known)
    if isinstance(expression, cst.Name) and expression.value not in (known or {}):
        binding = names.reference(expression).binding
        if binding is not None and isinstance(binding.value, cst.List) and names.is_never_changed(binding):
            return iterated(binding.value, names, {**(known or {}), expression.value: UNKNOWN})
    if isinstance(expression, cst.Call):
        return _iterator(expression, names, known)
    value = constant(expression, names, known)
    return value if isinstance(value, tuple) else None


def bound(target: cst.BaseExpression, value: object) -> dict[str, object] | None:
    """The names that a loop's target gives to an item; None where the target is of another kind."""
    if isinstance(target, cst.Name):
        return {target.value: value}
    if not isinstance(target, (cst.Tuple, cst.List)):
        return None
    several = value if isinstance(value, tuple) and len(value) == len(target.elements) else None
    found: dict[str, object] = {}
    for index, element in enumerate(target.elements):
        inner = bound(element.value, several[index] if several is not None else UNKNOWN)
        if inner is None:
            return None
        found.update(inner)
    return found


def integer(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> int | None:
    """The whole number an expression always is, or None."""
    value = constant(expression, names, known)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(expression: cst.CSTNode | None, names: Names, known: Environment | None = None) -> float | None:
    """The number an expression always is, or None."""
    value = constant(expression, names, known)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _integer(literal: cst.Integer, _: Names, __: Environment | None) -> object:
    try:
        return int(literal.value, 0)
    except ValueError:  # more digits than Python reads
        return UNKNOWN


def _float(literal: cst.Float, _: Names, __: Environment | None) -> object:
    return float(literal.value)


def _string(literal: cst.SimpleString, _: Names, __: Environment | None) -> object:
    try:
        value: object = ast.literal_eval(literal.value)
    except (ValueError, SyntaxError):
        return UNKNOWN
    return value if isinstance(value, str) else UNKNOWN


def _name(name: cst.Name, names: Names, known: Environment | None) -> object:
    known = known or {}
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


def _negated(expression: cst.UnaryOperation, names: Names, known: Environment | None) -> object:
    value = constant(expression.expression, names, known) if type(expression.operator) is cst.Minus else UNKNOWN
    return -value if isinstance(value, (int, float)) else UNKNOWN


def _combined(expression: cst.BinaryOperation, names: Names, known: Environment | None) -> object:
    left, right = constant(expression.left, names, known), constant(expression.right, names, known)
    return _arithmetic(type(expression.operator), left, right)


def _sequence(expression: cst.Tuple | cst.List, names: Names, known: Environment | None) -> object:
    values = tuple(constant(element.value, names, known) for element in expression.elements)
    starred = any(isinstance(element, cst.StarredElement) for element in expression.elements)
    return UNKNOWN if starred or any(value is UNKNOWN for value in values) else values


def _chosen(expression: cst.IfExp, names: Names, known: Environment | None) -> object:
    test = constant(expression.test, names, known)
    chosen = expression.body if test else expression.orelse
    return constant(chosen, names, known) if isinstance(test, (bool, int)) else UNKNOWN


def _arithmetic(kind: type[cst.BaseBinaryOp], left: object, right: object) -> object:
    if kind is cst.Modulo and isinstance(left, str) and isinstance(right, (int, str)):
        return left.replace("%d", str(right)).replace("%s", str(right))
    if kind is cst.Add and isinstance(left, str) and isinstance(right, str):
        return left + right
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    huge = kind is cst.Power and numbers and max(abs(left), abs(right)) > 1000  # type: ignore[arg-type]
    if kind not in _BINARY or not numbers or huge:
        return UNKNOWN
    try:
        return _BINARY[kind](left, right)
    except ArithmeticError:
        return UNKNOWN


def _item(expression: cst.Subscript, names: Names, known: Environment | None) -> object:
    values = iterated(expression.value, names, known)
    only = expression.slice[0].slice if len(expression.slice) == 1 else None
    index = integer(only.value, names, known) if isinstance(only, cst.Index) else None
    if values is not None and index is not None and -len(values) <= index < len(values):
        return values[index]
    return UNKNOWN


def _sliced(expression: cst.Subscript, names: Names, known: Environment | None) -> tuple[object, ...] | None:
    only = expression.slice[0].slice if len(expression.slice) == 1 else None
    if isinstance(only, cst.Index):
        value = _item(expression, names, known)
        return value if isinstance(value, tuple) else None
    values = iterated(expression.value, names, known)
    cut = slice_of(only, names, known)
    return None if values is None or cut is None else values[cut]


def slice_of(given: cst.CSTNode | None, names: Names, known: Environment | None = None) -> slice | None:
    """The slice that `a:b:c` always is."""
    if not isinstance(given, cst.Slice):
        return None
    parts = [None if part is None else integer(part, names, known) for part in (given.lower, given.upper, given.step)]
    wanted = [part is not None for part in (given.lower, given.upper, given.step)]
    complete = [part is not None for part in parts] == wanted and parts[2] != 0
    return slice(*parts) if complete else None


def _call(call: cst.Call, names: Names, known: Environment | None) -> object:
    if any(argument.star or argument.keyword for argument in call.args):
        return UNKNOWN
    function = names.full_name(call.func)
    if function == "builtins.len" and len(call.args) == 1:
        items = iterated(call.args[0].value, names, known)
        return UNKNOWN if items is None else len(items)
    if function == "builtins.str" and len(call.args) == 1:
        value = constant(call.args[0].value, names, known)
        return str(value) if isinstance(value, (int, str)) else UNKNOWN
    items = _iterator(call, names, known) if function == "builtins.range" else None
    return UNKNOWN if items is None else items


def _iterator(call: cst.Call, names: Names, known: Environment | None) -> tuple[object, ...] | None:
    if any(argument.star or argument.keyword for argument in call.args):
        return None
    function = (names.full_name(call.func) or "").removeprefix("builtins.")
    if function == "range" and 1 <= len(call.args) <= 3:
        bounds = [number for given in call.args if (number := integer(given.value, names, known)) is not None]
        if len(bounds) < len(call.args) or 0 in bounds[2:]:
            return None
        numbers = range(*bounds)
        return tuple(numbers) if len(numbers) <= _LONGEST else None
    if function not in ("zip", "enumerate", "reversed", "list", "tuple"):
        return None
    several = [items for given in call.args if (items := iterated(given.value, names, known)) is not None]
    if len(several) < len(call.args) or (function != "zip" and len(several) != 1):
        return None
    if function == "zip":
        return tuple(zip(*several, strict=False))
    if function == "enumerate":
        return tuple(enumerate(several[0]))
    return several[0][::-1] if function == "reversed" else several[0]


def _formatted(text: cst.FormattedString, names: Names, known: Environment | None) -> object:
    parts: list[str] = []
    for part in text.parts:
        if isinstance(part, cst.FormattedStringText):
            parts.append(part.value)
            continue
        assert isinstance(part, cst.FormattedStringExpression)
        value = constant(part.expression, names, known)
        if not isinstance(value, (int, str)) or part.format_spec is not None or part.conversion is not None:
            return UNKNOWN
        parts.append(str(value))
    return "".join(parts)


def _compared(test: cst.Comparison, names: Names, known: Environment | None) -> object:
    if len(test.comparisons) != 1:
        return UNKNOWN
    (against,) = test.comparisons
    left, right = constant(test.left, names, known), constant(against.comparator, names, known)
    result = compared(left, against.operator, right)
    return UNKNOWN if result is None else result


def compared(left: object, operation: cst.BaseCompOp, right: object) -> bool | None:
    """What a comparison of two numbers gives; None for anything else."""
    compare = _COMPARING.get(type(operation))
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    return bool(compare(left, right)) if compare is not None and numbers else None


# By the class of the node, and not one `isinstance` after the other: most expressions are none of these.
_READ: Final[dict[type[cst.CSTNode | None], Callable[[Any, Names, Environment | None], object]]] = {
    cst.Name: _name,
    cst.Integer: _integer,
    cst.Float: _float,
    cst.SimpleString: _string,
    cst.UnaryOperation: _negated,
    cst.BinaryOperation: _combined,
    cst.Tuple: _sequence,
    cst.List: _sequence,
    cst.Subscript: _item,
    cst.Call: _call,
    cst.IfExp: _chosen,
    cst.FormattedString: _formatted,
    cst.Comparison: _compared,
}
