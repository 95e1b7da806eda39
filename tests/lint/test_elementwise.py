"""One function in all its spellings, and what keeps a value away from a point."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.elementwise import applied, clamped_at_zero, is_guarded, power
from gradlint.unit import Unit

from tests.lint.linting import unit


def parsed(expression: str) -> tuple[cst.BaseExpression, Unit]:
    of = unit(f"import math\nimport torch\nimport torch.nn.functional as F\ndef f(x, y, eps):\n    v = {expression}\n")
    return of.tree.nodes(cst.Assign)[0].value, of


def text(of: Unit, value: cst.BaseExpression | None) -> str | None:
    return None if value is None else of.tree.module.code_for_node(value)


@pytest.mark.parametrize(
    ("expression", "inner"),
    [("torch.log(x)", "x"), ("(x + 1).log()", "(x + 1)"), ("math.log(x)", None), ("x.log(2)", None), ("x", None)],
)
def test_a_function_or_method(expression: str, inner: str | None) -> None:
    value, of = parsed(expression)
    assert text(of, applied(value, "log", of.names)) == inner


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("x ** 2", ("x", 2)), ("x * x", ("x", 2)), ("x.square()", ("x", 2)), ("torch.pow(x, 0.5)", ("x", 0.5)),
        ("x.pow(-1)", ("x", -1)), ("torch.sqrt(x)", ("x", 0.5)), ("x.rsqrt()", ("x", -0.5)), ("1 / x", ("x", -1)),
        ("x * y", None), ("x ** y", None), ("x / 2", None), ("math.sqrt(x)", None),
    ],
)  # fmt: skip
def test_powers(expression: str, found: tuple[str, float] | None) -> None:
    value, of = parsed(expression)
    result = power(value, of.names)
    assert (None if result is None else (text(of, result[0]), result[1])) == found


@pytest.mark.parametrize(
    ("expression", "guarded"),
    [
        ("x + 1e-8", True), ("x + eps", True), ("x + self.eps", True), ("x + torch.finfo(x.dtype).tiny", True),
        ("x.clamp(min=1e-6)", True), ("torch.maximum(x, y)", True), ("x.add(1).clamp_min(1e-3)", True),
        ("x.clamp(0, 1)", False), ("x.clamp(min=0)", False), ("F.relu(x)", False), ("x + y", False), ("x - 1", False),
    ],
)  # fmt: skip
def test_guards(expression: str, guarded: bool) -> None:
    value, of = parsed(expression)
    assert is_guarded(value, of.names) is guarded


@pytest.mark.parametrize(
    ("expression", "inner"),
    [
        ("x.clamp(min=0)", "x"), ("torch.clamp(x, 0.0, 1)", "x"), ("F.relu(x)", "x"), ("x.relu()", "x"),
        ("x.clamp(max=0)", None), ("x.clamp(min=1e-3)", None), ("x.clamp(y)", None), ("x", None),
    ],
)  # fmt: skip
def test_zero_stays_possible(expression: str, inner: str | None) -> None:
    value, of = parsed(expression)
    assert text(of, clamped_at_zero(value, of.names)) == inner
