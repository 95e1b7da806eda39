"""What goes into a returned value, and what a variable was before a use."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.returned import returned_parts, value_before

from tests.lint.linting import node, unit

CODE = """
    def forward(x, flag):
        a = one(x)
        b = two(a)
        unused = three(x)
        def inner():
            return four(x)
        if flag:
            return b
        return five(b)
"""


def test_the_parts_of_a_returned_value() -> None:
    of = unit(CODE)
    method = of.tree.nodes(cst.FunctionDef)[0]
    parts = [of.tree.module.code_for_node(part) for part in returned_parts(method, of.tree, of.names)]
    assert parts == ["b", "five(b)", "two(a)", "one(x)"]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("x = one(x)", "one(x)"),
        ("x = one(x)\n    x = two(x)", "two(x)"),
        ("x = one(x)\n    if x:\n        x = two(x)", None),
        ("x, y = one(x)", None),
        ("pass", None),
    ],
)
def test_the_value_before_a_use(body: str, value: str | None) -> None:
    of = unit(f"def f(x):\n    {body}\n    return g(x)\n")
    use = node(of, "g(x)", cst.Call).args[0].value
    assert isinstance(use, cst.Name)
    found = value_before(use, of.tree, of.names)
    assert (None if found is None else of.tree.module.code_for_node(found)) == value
