"""One walk over a libcst tree: nodes by kind in source order, and the parent of each.

libcst's visitors cost as much as parsing and its metadata many times more. Here the child fields of each class are
looked up once, whitespace and punctuation are never entered, and the walk keeps its own stack, so that depth is no
limit. Rules and semantics ask the finished `Tree` and do not walk again.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Node = TypeVar("Node", bound=cst.CSTNode)

# Fields that hold only layout or punctuation: nothing that a rule asks about lies below them.
_LAYOUT = words(
    "asynchronous colon comma comment default_indent default_newline dot empty_lines encoding end equal first_colon"
    " first_line footer has_trailing_newline header indent last_line lbrace lbracket leading_lines"
    " leading_whitespace lines_after_decorators lpar newline operator posonly_ind rbrace rbracket relative rpar"
    " second_colon semicolon separator star start trailing_comma trailing_whitespace whitespace"
)
# Where the order of the fields is not the order of the text.
_TEXT_ORDER: dict[str, tuple[str, ...]] = {
    "IfExp": ("body", "test", "orelse"),
    "FunctionDef": ("decorators", "name", "type_parameters", "params", "returns", "body"),
    "ClassDef": ("decorators", "name", "type_parameters", "bases", "keywords", "body"),
    "Param": ("name", "annotation", "default"),
    "Parameters": ("posonly_params", "params", "star_arg", "kwonly_params", "star_kwarg"),
    "Arg": ("keyword", "value"),
    "With": ("items", "body"),
    "DictComp": ("key", "value", "for_in"),
}


def child_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a node class that hold what the code says, in text order."""
    names = [field.name for field in fields(kind)]
    wanted = [name for name in names if name not in _LAYOUT and not name.startswith("whitespace_")]
    first = _TEXT_ORDER.get(kind.__name__, ())
    return (*first, *(name for name in wanted if name not in first))


class _ChildFields(dict[type[cst.CSTNode], tuple[str, ...]]):
    """`child_fields`, asked once per class."""

    def __missing__(self, kind: type[cst.CSTNode]) -> tuple[str, ...]:
        self[kind] = names = child_fields(kind)
        return names


_FIELDS = _ChildFields()  # a cache of facts about libcst's classes, not state


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes directly below, without layout, in text order."""
    found: list[cst.CSTNode] = []
    for name in _FIELDS[type(node)]:
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found.extend(item for item in value if isinstance(item, cst.CSTNode))
    return found


def walk(root: cst.CSTNode, *, children_first: bool = False) -> Iterator[cst.CSTNode]:
    """The node and all below it, without layout, in text order; parents come first unless asked otherwise."""
    stack = [(root, False)]
    while stack:
        node, seen = stack.pop()
        if seen or not children_first:
            yield node
        if not seen:
            if children_first:
                stack.append((node, True))
            stack.extend((child, False) for child in reversed(children(node)))


class Tree:
    """A parsed module that answers: which nodes of a kind are there, and what is around one.

    Nodes are compared by identity. Parents and kinds come from one walk, made when the tree is built.
    """

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self._by_kind: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self._index()

    def _index(self) -> None:
        # The one hot loop of a run: `children` is written out here, because a call per node costs a third more.
        parents, by_kind, node_class = self._parents, self._by_kind, cst.CSTNode
        stack: list[cst.CSTNode] = [self.module]
        while stack:
            node = stack.pop()
            kind = type(node)
            try:
                by_kind[kind].append(node)
            except KeyError:
                by_kind[kind] = [node]
            below: list[cst.CSTNode] = []
            for name in _FIELDS[kind]:
                value = getattr(node, name)
                if value.__class__ is str or value is None:
                    continue
                if isinstance(value, node_class):
                    parents[value] = node
                    below.append(value)
                elif isinstance(value, (tuple, list)):
                    for item in value:
                        parents[item] = node
                    below.extend(value)
            below.reverse()
            stack.extend(below)

    def nodes(self, kind: type[Node]) -> Sequence[Node]:
        """All nodes of exactly this class, in text order."""
        return self._by_kind.get(kind, ())  # type: ignore[return-value]  # filed under their own class

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node directly above; None for the module and for a node of another tree."""
        return self._parents.get(node)

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes above, nearest first, the module last."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def enclosing(self, node: cst.CSTNode, *kinds: type[Node]) -> Node | None:
        """The nearest node above that is of one of these classes."""
        for above in self.ancestors(node):
            if isinstance(above, kinds):
                return above
        return None

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The whole statement a node stands in: a simple statement's line, or a compound statement."""
        for above in (node, *self.ancestors(node)):
            if isinstance(above, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return above
        return self.module
