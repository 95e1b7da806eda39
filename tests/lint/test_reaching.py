"""The value that reaches a use: the last assignment on every way there, or None."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.reaching import reaching_value

from tests.lint.linting import unit


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = a()\nuse(x)", "a()"),
        ("x = a()\nx = b()\nuse(x)", "b()"),
        ("for i in d:\n    x = a()\n    use(x)\nfor i in d:\n    x = b()", "a()"),
        ("if c:\n    x = a()\nelse:\n    x = b()\nuse(x)", None),
        ("if c:\n    x = a()\n    use(x)\nelse:\n    x = b()", "a()"),
        ("x = a()\nfor i in d:\n    use(x)\n    x = b()", None),
        ("x = a()\nif c:\n    x = b()\nuse(x)", None),
        ("x = a()\nif c:\n    use(x)\nx = b()", "a()"),
        ("x = a()\nx, y = b()\nuse(x)", None),
        ("x = a()\nx += 1\nuse(x)", None),
        ("x = a()\ndef f():\n    use(x)\nx = b()", None),
        ("for x in d:\n    use(x)\nx = a()", None),
    ],
)
def test_the_value_at_a_use(code: str, expected: str | None) -> None:
    of = unit(f"def function(d, c):\n    {code.replace(chr(10), chr(10) + '    ')}\n")
    (use,) = (call for call in of.tree.nodes(cst.Call) if getattr(call.func, "value", "") == "use")
    name = use.args[0].value
    assert isinstance(name, cst.Name)
    value = reaching_value(name, of.tree, of.names)
    assert (None if value is None else of.tree.module.code_for_node(value)) == expected
