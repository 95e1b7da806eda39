"""Which types the tests around an init call leave to the module it fills: `isinstance`, `type(m) ==`, class names.

The answer is a set of full names: empty without any test, with None in it where a condition cannot be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.walk import Tree, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names

Types = frozenset[str | None]

_UNKNOWN: Types = frozenset({None})
_CONVS = frozenset(f"torch.nn.Conv{kind}{n}d" for kind in ("", "Transpose") for n in (1, 2, 3))
# What a class-name test finds: `m.__class__.__name__.find("Conv") != -1`.
_BY_PART = {
    "Conv": _CONVS,
    "Conv2d": frozenset({"torch.nn.Conv2d"}),
    "Linear": frozenset({"torch.nn.Linear"}),
    "BatchNorm": frozenset(f"torch.nn.BatchNorm{n}d" for n in (1, 2, 3)),
    "BatchNorm2d": frozenset({"torch.nn.BatchNorm2d"}),
}


class TypeTests:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._tree, self._names = tree, names

    def around(self, place: cst.CSTNode, root: str) -> Types:
        """The types that the tests around a place allow a name to have."""
        found: set[str | None] = set()
        excluded = False
        below: cst.CSTNode = place
        for above in self._tree.ancestors(place):
            if isinstance(above, (cst.FunctionDef, cst.Lambda)):
                break
            if isinstance(above, (cst.If, cst.IfExp)):
                if below is above.body:
                    found |= self._allowed(above.test, root)
                elif below is above.orelse:
                    excluded = True
            if isinstance(above, cst.IndentedBlock):
                for guard in self._guards(above, below):
                    found |= self._allowed(guard, root)
            below = above
        return frozenset(found) or (_UNKNOWN if excluded else frozenset())

    def _guards(self, block: cst.IndentedBlock, last: cst.CSTNode) -> Iterator[cst.BaseExpression]:
        """What holds after `if not test: return` earlier in a block."""
        for statement in block.body:
            if statement is last:
                return
            if isinstance(statement, cst.If) and statement.orelse is None and _leaves(statement.body):
                test = statement.test
                negated = isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not)
                yield test.expression if negated and isinstance(test, cst.UnaryOperation) else cst.Name("unknown")

    def _allowed(self, test: cst.BaseExpression, root: str) -> Types:
        """The types that a test lets through; what only asks for a bias or a weight is no condition of its own."""
        parts = list(_conjuncts(test))
        known = [part for part in parts if not _is_harmless(part, root)]
        if not known:
            return frozenset() if all(_asks_for_bias(part) for part in parts) else _UNKNOWN
        return frozenset().union(*(self._let_through(part, root) for part in known))

    def _let_through(self, part: cst.BaseExpression, root: str) -> Types:
        if isinstance(part, cst.BooleanOperation) and isinstance(part.operator, cst.Or):
            return self._allowed(part.left, root) | self._allowed(part.right, root)
        value = _type_test(part, root)
        if value is not None:
            several = isinstance(value, (cst.Tuple, cst.List, cst.Set))
            each = [element.value for element in value.elements] if several else [value]  # type: ignore[attr-defined]
            return frozenset(self._names.full_name(one) for one in each)
        return _BY_PART.get(_name_part(part) or "", _UNKNOWN)


def _leaves(suite: cst.BaseSuite) -> bool:
    last = suite.body[-1] if suite.body else None
    small = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else last
    return isinstance(small, (cst.Return, cst.Continue, cst.Raise, cst.Break))


def _conjuncts(test: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        yield from _conjuncts(test.left)
        yield from _conjuncts(test.right)
    else:
        yield test


def _is_harmless(part: cst.BaseExpression, root: str) -> bool:
    if isinstance(part, cst.Call) and isinstance(part.func, cst.Name) and part.func.value == "hasattr":
        return bool(part.args) and _is_name(part.args[0].value, root)
    return _asks_for_bias(part)


def _asks_for_bias(part: cst.BaseExpression) -> bool:
    return any(isinstance(node, cst.Attribute) and node.attr.value == "bias" for node in walk(part))


def _type_test(node: cst.CSTNode, root: str) -> cst.BaseExpression | None:
    """The types in `isinstance(root, types)` or `type(root) == types` (also `is`, `in`)."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and len(node.args) == 2:
        return node.args[1].value if node.func.value == "isinstance" and _is_name(node.args[0].value, root) else None
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1 and isinstance(node.left, cst.Call):
        asked = node.left
        is_type = isinstance(asked.func, cst.Name) and asked.func.value == "type" and len(asked.args) == 1
        equal = isinstance(node.comparisons[0].operator, (cst.Equal, cst.Is, cst.In))
        if is_type and equal and _is_name(asked.args[0].value, root):
            return node.comparisons[0].comparator
    return None


def _name_part(part: cst.CSTNode) -> str | None:
    """`Conv` of `classname.find("Conv") != -1`, also `>= 0`, and of `"Conv" in classname`."""
    if not isinstance(part, cst.Comparison) or len(part.comparisons) != 1:
        return None
    left, (target,) = part.left, part.comparisons
    if isinstance(target.operator, cst.In) and isinstance(left, cst.SimpleString):
        named = isinstance(target.comparator, cst.Name) and "class" in target.comparator.value.lower()
        return str(left.evaluated_value) if named else None
    found = isinstance(target.operator, (cst.NotEqual, cst.GreaterThan, cst.GreaterThanEqual))
    if not found or not isinstance(left, cst.Call) or not isinstance(left.func, cst.Attribute) or len(left.args) != 1:
        return None
    text = left.args[0].value
    is_find = left.func.attr.value == "find" and isinstance(text, cst.SimpleString)
    return str(text.evaluated_value) if is_find and isinstance(text, cst.SimpleString) else None


def _is_name(node: cst.CSTNode, name: str) -> bool:
    return isinstance(node, cst.Name) and node.value == name
