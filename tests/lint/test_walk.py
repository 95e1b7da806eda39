"""The walk reaches every node that says something, once, in text order, at any depth."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass

import libcst as cst
import pytest
from gradlint.source import Source
from gradlint.walk import Tree, child_fields, children, walk

from tests.lint.linting import node, unit
from tests.lint.test_source import CODE


class _Everything(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        self.seen.append(node)
        return True


def _says_nothing(found: cst.CSTNode) -> bool:
    layout = (cst.BaseParenthesizableWhitespace, cst.TrailingWhitespace, cst.EmptyLine, cst.Newline, cst.Comment)
    signs = (
        *(cst.Comma, cst.Colon, cst.Semicolon, cst.Dot, cst.AssignEqual, cst.LeftParen, cst.RightParen, cst.BitOr),
        *(cst.LeftSquareBracket, cst.RightSquareBracket, cst.LeftCurlyBrace, cst.RightCurlyBrace, cst.Asynchronous),
        *(cst.BaseUnaryOp, cst.BaseBinaryOp, cst.BaseBooleanOp, cst.BaseCompOp, cst.BaseAugOp, cst.ParamSlash),
    )
    return isinstance(found, (*layout, *signs))


def test_the_walk_reaches_what_libcst_visits_except_layout() -> None:
    module = cst.parse_module(CODE)
    everything = _Everything()
    module.visit(everything)
    expected = {found for found in everything.seen if not _says_nothing(found)}
    reached = list(walk(module))
    assert len(reached) == len(set(reached))
    assert set(reached) == expected


def test_the_tree_files_the_same_nodes_in_text_order() -> None:
    module = cst.parse_module(CODE)
    tree = Tree(module)
    for kind in {type(found) for found in walk(module)}:
        assert list(tree.nodes(kind)) == [found for found in walk(module) if type(found) is kind]
    offsets = unit(CODE)
    starts = [offsets.positions.span(name)[0] for name in offsets.tree.nodes(cst.Name)]
    assert starts == sorted(starts)


def test_children_first_yields_arguments_before_their_call() -> None:
    module = cst.parse_module("f(g(h(1)), k())")
    calls = [found.func for found in walk(module, children_first=True) if isinstance(found, cst.Call)]
    assert [name.value for name in calls if isinstance(name, cst.Name)] == ["h", "g", "k", "f"]


def test_parents_ancestors_enclosing_and_statement() -> None:
    u = unit("""
        class A:
            def f(self):
                return g(x)
    """)
    x = node(u, "x", cst.Name)
    parent = u.tree.parent(x)
    assert isinstance(parent, cst.Arg)
    assert isinstance(u.tree.enclosing(x, cst.FunctionDef, cst.ClassDef), cst.FunctionDef)
    assert isinstance(u.tree.enclosing(x, cst.ClassDef), cst.ClassDef)
    assert u.tree.enclosing(x, cst.Lambda) is None
    assert list(u.tree.ancestors(x))[-1] is u.tree.module
    assert isinstance(u.tree.statement(x), cst.SimpleStatementLine)
    assert u.tree.parent(u.tree.module) is None


def test_what_is_below_a_node_is_what_a_walk_from_it_gives() -> None:
    tree = Tree(cst.parse_module(CODE))
    for root in walk(tree.module):
        everything = list(walk(root))
        assert list(tree.walk(root)) == everything
        for kind in (cst.Name, cst.Call, cst.FunctionDef):
            assert list(tree.below(root, kind)) == [found for found in everything if type(found) is kind]
        assert [node for node in tree.walk(tree.module) if tree.holds(root, node)] == everything
        several: list[cst.CSTNode] = [found for found in everything if type(found) in (cst.Name, cst.Call)]
        assert list(tree.below(root, cst.Call, cst.Name)) == several


def test_nodes_of_another_tree_are_walked_but_have_nothing_around_them() -> None:
    tree, other = Tree(cst.parse_module("f(x)")), cst.parse_expression("g(y, z)")
    assert [name.value for name in tree.below(other, cst.Name)] == ["g", "y", "z"]
    assert list(tree.walk(other)) == list(walk(other))
    assert tree.parent(other) is None
    assert not list(tree.ancestors(other))


def test_depth_is_no_limit() -> None:
    depth = 1500
    module = cst.parse_module("a" + ".b" * depth)
    assert len(list(walk(module))) > depth
    assert len(Tree(module).nodes(cst.Attribute)) == depth
    assert Source("a.py", "").line_starts == (0,)


CLASSES = [
    found
    for _, found in inspect.getmembers(cst, inspect.isclass)
    if issubclass(found, cst.CSTNode) and is_dataclass(found)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_fields_are_real_ones_without_repetition(kind: type[cst.CSTNode]) -> None:
    names = child_fields(kind)
    assert len(set(names)) == len(names)
    assert set(names) <= {field.name for field in fields(kind)}


def test_children_of_a_conditional_stand_in_text_order() -> None:
    (first, *_) = [found for found in walk(cst.parse_module("a if b else c")) if isinstance(found, cst.IfExp)]
    assert [child.value for child in children(first) if isinstance(child, cst.Name)] == ["a", "b", "c"]


def test_a_method_is_called_where_its_name_is_that_of_what_is_called() -> None:
    u = unit("x.put(1)\nx.put\nput(1)\nf(put=x)\nx.put.late()\ny = x.put(2).put\n")
    calls = [u.tree.call_of(name) for name in u.tree.named("put")]
    assert [call and u.tree.module.code_for_node(call) for call in calls] == [
        "x.put(1)", None, None, None, None, "x.put(2)", None,
    ]  # fmt: skip
