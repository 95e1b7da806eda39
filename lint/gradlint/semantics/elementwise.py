"""Mathematical functions however they are written: `torch.log(x)`, `x.log()`; `x ** 2`, `x.pow(2)`, `x.square()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import number
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names

_EXPONENTS: Final = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}
_POWERS: Final = frozenset({"torch.pow", "torch.float_power"})
_GUARDS: Final = words("clamp clamp_ clamp_min clamp_min_ clip clip_ maximum max where nan_to_num softplus")


def applied(value: cst.CSTNode | None, function: str, names: Names) -> cst.BaseExpression | None:
    """`x` of `torch.log(x)` or `x.log()`; None for anything else."""
    if not isinstance(value, cst.Call):
        return None
    if names.full_name(value.func) in (f"torch.{function}", f"torch.special.{function}"):
        first = value.args[0] if value.args else None
        return first.value if first is not None and not first.star else None
    method = value.func
    if not isinstance(method, cst.Attribute) or method.attr.value != function or value.args:
        return None
    return None if isinstance(method.value, cst.Name) and _is_imported(method.value, names) else method.value


def power(value: cst.CSTNode | None, names: Names) -> tuple[cst.BaseExpression, float] | None:
    """`x` and `n` of `x ** n`, `x.pow(n)`, `torch.pow(x, n)`, `x.square()`, `x.sqrt()`, `x * x` and `1 / x`."""
    # Asked of every node of a function: the class itself, because `isinstance` calls Python for all others.
    if type(value) is cst.BinaryOperation:
        return _by_operator(value, names)
    return _by_call(value, names) if type(value) is cst.Call else None


def _by_operator(value: cst.BinaryOperation, names: Names) -> tuple[cst.BaseExpression, float] | None:
    operator = type(value.operator)
    if operator is cst.Power:
        exponent = number(value.right, names)
        return (value.left, exponent) if exponent is not None else None
    if operator is cst.Multiply and _is_same(value.left, value.right):
        return value.left, 2.0
    if operator is cst.Divide and number(value.left, names) is not None:
        return value.right, -1.0
    return None


def _by_call(value: cst.Call, names: Names) -> tuple[cst.BaseExpression, float] | None:
    called = value.func
    method = called.attr.value if type(called) is cst.Attribute else ""
    name = names.full_name(called) or ""
    for function in (method, name.rpartition(".")[2]):
        inner = applied(value, function, names) if function in _EXPONENTS else None
        if inner is not None:
            return inner, _EXPONENTS[function]
    if name not in _POWERS and method != "pow":
        return None
    given = [each.value for each in value.args if not each.star]
    if name in _POWERS and len(given) == 2:
        base, power_given = given
    elif type(called) is cst.Attribute and method == "pow" and len(given) == 1:
        base, power_given = called.value, given[0]
    else:
        return None
    exponent = number(power_given, names)
    return (base, exponent) if exponent is not None else None


def _is_same(left: cst.BaseExpression, right: cst.BaseExpression) -> bool:
    return type(left) is type(right) and left.deep_equals(right)


def is_guarded(value: cst.CSTNode, names: Names) -> bool:
    """Whether something keeps a value away from a point: a clamp, a maximum, a number or an `eps` that is added."""
    for node in names.tree.walk(value):
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.Add, cst.Subtract)):
            sides = (node.left, node.right)
            if isinstance(node.operator, cst.Add) and any(_is_small(side, names) for side in sides):
                return True
        called = node.func if isinstance(node, cst.Call) else None
        last = called.attr if isinstance(called, cst.Attribute) else called
        if isinstance(last, cst.Name) and last.value in _GUARDS and clamped_at_zero(node, names) is None:
            return True
    return False


def clamped_at_zero(value: cst.CSTNode, names: Names) -> cst.BaseExpression | None:
    """`x` of `x.clamp(min=0)`, `torch.clamp(x, 0, 1)`, `torch.relu(x)`: zero itself stays possible."""
    if not isinstance(value, cst.Call):
        return None
    name = (names.full_name(value.func) or "").rpartition(".")
    given = [each for each in value.args if each.keyword is None or each.keyword.value == "min"]
    if name[0] in ("torch", "torch.nn.functional"):
        inner, given, short = (given[0].value if given else None), given[1:], name[2]
    else:
        method = value.func if isinstance(value.func, cst.Attribute) else None
        inner, short = (method.value, method.attr.value) if method is not None else (None, "")
    if short == "relu":
        return inner
    low = number(given[0].value, names) if short in ("clamp", "clip", "clamp_min", "clamp_") and given else None
    return inner if low == 0 else None


def _is_small(value: cst.CSTNode, names: Names) -> bool:
    if number(value, names) is not None:
        return True
    last = value.attr if isinstance(value, cst.Attribute) else value
    text = last.value.lower() if isinstance(last, cst.Name) else ""
    finfo = any(node.value in ("finfo", "eps", "tiny") for node in names.tree.below(value, cst.Name))
    return "eps" in text or text in ("delta", "tiny", "smooth", "offset") or finfo


def _is_imported(name: cst.Name, names: Names) -> bool:
    return (names.full_name(name) or "").partition(".")[0] in ("torch", "math", "numpy", "cmath", "jax", "scipy")
