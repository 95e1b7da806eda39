"""Code of tests: its networks are toys, made to have known numbers, and nobody trains them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import libcst as cst

if TYPE_CHECKING:
    from gradlint.walk import Tree

_PATHS: Final = re.compile(r"(?:^|/)(?:tests?|testing)/|(?:^|/)test_[^/]*$|_test\.py$|(?:^|/)conftest\.py$")
_FOLDERS: Final = re.compile(r"(?:^|/)(?:tests|testing)/")
_FRAMEWORKS: Final = re.compile(r"(?:pytest|unittest|torch\.testing|absl\.testing)(?:\.|$)")


def is_among_tests(path: str) -> bool:
    """By its path: in a folder `tests`, `test` or `testing`, or named as pytest and unittest find their tests.

    Research code evaluates in such files, too: who judges an evaluation asks what the file holds.
    """
    return _PATHS.search(path) is not None


def is_helper_of_tests(path: str) -> bool:
    """By its folder, `tests` or `testing`: the networks that are made there for tests in other files."""
    return _FOLDERS.search(path) is not None


def holds_tests(tree: Tree) -> bool:
    """By what it holds: a framework for tests, or a function `test_...` that asserts something."""
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
