"""Code of tests: its networks are toys, made to have known numbers, and nobody trains them.

What a file holds says so, not its name: research evaluates in `test_net.py`, and courses keep exercises in `tests/`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import libcst as cst

if TYPE_CHECKING:
    from gradlint.walk import Tree

_FRAMEWORKS: Final = re.compile(r"(?:pytest|unittest|torch\.testing|absl\.testing)(?:\.|$)")


def holds_tests(tree: Tree) -> bool:
    """Whether a file imports a framework for tests, or has a function `test_...` that asserts something."""
    if any(map(_FRAMEWORKS.match, _imported(tree))):
        return True
    tests = (each for each in tree.nodes(cst.FunctionDef) if each.name.value.startswith("test_"))
    return any(tree.below(test, cst.Assert) or _asserts(test, tree) for test in tests)


def _imported(tree: Tree) -> list[str]:
    aliases = [alias.evaluated_name for each in tree.nodes(cst.Import) for alias in each.names]
    modules = [each.module for each in tree.nodes(cst.ImportFrom) if each.module is not None and not each.relative]
    return aliases + [cst.Module(body=()).code_for_node(module) for module in modules]


def _asserts(test: cst.FunctionDef, tree: Tree) -> bool:
    """`self.assertEqual(...)`, `np.testing.assert_allclose(...)`."""
    called = (call.func for call in tree.below(test, cst.Call))
    last = (each.attr if isinstance(each, cst.Attribute) else each for each in called)
    return any(isinstance(name, cst.Name) and name.value.startswith("assert") for name in last)
