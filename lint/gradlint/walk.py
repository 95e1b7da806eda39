"""One walk over a libcst tree: nodes by kind in source order, and the parent of each.

libcst's visitors cost as much as parsing and its metadata many times more. Here the child fields of each class are
looked up once, whitespace and punctuation are never entered, and the walk keeps its own stack, so that depth is no
limit. Rules and semantics ask the finished `Tree` and do not walk again.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import libcst as cst

from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

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
    names = [field.name for field in fields(kind) if field.type not in (str, bool)]
    wanted = [name for name in names if name not in _LAYOUT and not name.startswith("whitespace_")]
    first = _TEXT_ORDER.get(kind.__name__, ())
    return (*first, *(name for name in wanted if name not in first))


class _ChildFields(dict[type[cst.CSTNode], tuple[str, ...]]):
    """`child_fields`, asked once per class."""

    def __missing__(self, kind: type[cst.CSTNode]) -> tuple[str, ...]:
        self[kind] = names = child_fields(kind)
        return names


_FIELDS = _ChildFields()  # a cache of facts about libcst's classes, not state
# What else a field holds. libcst's classes are abstract ones: `isinstance` with them is a call of a Python function for
# every node of another class, which a walk cannot afford; the class itself is asked for instead.
_SEVERAL = frozenset((tuple, list))
_NO_NODES = frozenset((str, bool, type(None), cst.MaybeSentinel))


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes directly below, without layout, in text order."""
    found: list[cst.CSTNode] = []
    for name in _FIELDS[type(node)]:
        value = getattr(node, name)
        kind = value.__class__
        if kind in _SEVERAL:
            found.extend(value)
        elif kind not in _NO_NODES:
            found.append(value)
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
    """A parsed module that answers: which nodes of a kind are there, what is below a node and what around it.

    Nodes are compared by identity. One walk, made when the tree is built, numbers them in text order: the nodes below
    one are the numbers that follow its own.
    """

    def __init__(self, module: cst.Module) -> None:
        self.module = module
        self._order: list[cst.CSTNode] = []
        self._above: list[int] = []
        self._by_kind: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self._numbers_by_kind: dict[type[cst.CSTNode], list[int]] = {}
        self._index()
        # By id, because hashing a node is a call of a Python function; the tree keeps its nodes, so ids stay theirs.
        self._number = dict(zip(map(id, self._order), range(len(self._order)), strict=True))

    def _index(self) -> None:
        # The one hot loop of a run: `children` is written out here, because a call per node costs a third more.
        order, above, by_kind = self._order, self._above, self._by_kind
        stack: list[cst.CSTNode] = [self.module]
        parents = [0]
        while stack:
            node = stack.pop()
            here = len(order)
            order.append(node)
            above.append(parents.pop())
            kind = type(node)
            try:
                by_kind[kind].append(node)
            except KeyError:
                by_kind[kind] = [node]
            below: list[cst.CSTNode] = []
            for name in _FIELDS[kind]:
                value = getattr(node, name)
                of = value.__class__
                if of in _SEVERAL:
                    below.extend(value)
                elif of not in _NO_NODES:
                    below.append(value)
            if below:
                below.reverse()
                stack.extend(below)
                parents.extend([here] * len(below))

    @cached_property
    def _ends(self) -> list[int]:
        """Behind the last number below each node."""
        above = self._above
        ends = list(range(1, len(above) + 1))
        for number in range(len(above) - 1, 0, -1):
            around = above[number]
            if ends[number] > ends[around]:
                ends[around] = ends[number]
        return ends

    def nodes(self, kind: type[Node]) -> Sequence[Node]:
        """All nodes of exactly this class, in text order."""
        return self._by_kind.get(kind, ())  # type: ignore[return-value]  # filed under their own class

    @cached_property
    def _by_word(self) -> dict[str, list[cst.Name]]:
        words: dict[str, list[cst.Name]] = {}
        for name in self.nodes(cst.Name):
            words.setdefault(name.value, []).append(name)
        return words

    def named(self, word: str) -> Sequence[cst.Name]:
        """All names that are this word, in text order: variables, attributes, keywords, definitions."""
        return self._by_word.get(word, ())

    def walk(self, root: cst.CSTNode) -> Sequence[cst.CSTNode]:
        """The node and all below it, in text order: as the function `walk` gives them, without walking again."""
        start = self._number.get(id(root))
        return list(walk(root)) if start is None else self._order[start : self._ends[start]]

    def below(self, root: cst.CSTNode, *kinds: type[Node]) -> Sequence[Node]:
        """The nodes of exactly these classes among a node and all below it, in text order."""
        start = self._number.get(id(root))
        if start is None:
            return [node for node in walk(root) if type(node) in kinds]  # type: ignore[misc]  # of these classes
        end = self._ends[start]
        if len(kinds) == 1:
            return self._between(start, end, kinds[0])
        return sorted((node for kind in kinds for node in self._between(start, end, kind)), key=self.place)

    def span(self, root: cst.CSTNode) -> tuple[int, int]:
        """The places of a node of this tree and of all below it: the first, and the one behind the last."""
        start = self._number[id(root)]
        return start, self._ends[start]

    def _between(self, start: int, end: int, kind: type[Node]) -> Sequence[Node]:
        numbers = self._numbers(kind)
        return self.nodes(kind)[bisect_left(numbers, start) : bisect_left(numbers, end)]

    def _numbers(self, kind: type[cst.CSTNode]) -> list[int]:
        if kind not in self._numbers_by_kind:
            self._numbers_by_kind[kind] = [self._number[id(node)] for node in self.nodes(kind)]
        return self._numbers_by_kind[kind]

    def holds(self, root: cst.CSTNode, node: cst.CSTNode) -> bool:
        """Whether a node of this tree is another one of it, or below that."""
        start, end = self.span(root)
        return start <= self._number[id(node)] < end

    def place(self, node: cst.CSTNode) -> int:
        """How many nodes come before a node of this tree in text order, those around it among them."""
        return self._number[id(node)]

    def find(self, node: cst.CSTNode) -> int | None:
        """The place of a node; None for one of another tree."""
        return self._number.get(id(node))

    def __len__(self) -> int:
        return len(self._order)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node directly above; None for the module and for a node of another tree."""
        number = self._number.get(id(node))
        return self._order[self._above[number]] if number else None

    def call_of(self, method: cst.Name) -> cst.Call | None:
        """The call of a method at its name: `x.append(y)` at `append`; None where the name is anything else."""
        function = self.parent(method)
        call = self.parent(function) if isinstance(function, cst.Attribute) and function.attr is method else None
        return call if isinstance(call, cst.Call) and call.func is function else None

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes above, nearest first, the module last."""
        number = self._number.get(id(node))
        while number:
            number = self._above[number]
            yield self._order[number]

    def climb(
        self, node: cst.CSTNode, kinds: Container[type[cst.CSTNode]]
    ) -> Iterator[tuple[cst.CSTNode, cst.CSTNode, cst.CSTNode]]:
        """The nodes above that are of exactly these classes, nearest first, each with the two below it on the way."""
        order, above = self._order, self._above
        below = child = self._number.get(id(node), 0)
        while child:
            around = above[child]
            if type(order[around]) in kinds:
                yield order[around], order[child], order[below]
            below, child = child, around

    def enclosing(self, node: cst.CSTNode, *kinds: type[Node]) -> Node | None:
        """The nearest node above that is of exactly one of these classes."""
        return next((above for above, _, _ in self.climb(node, kinds)), None)  # type: ignore[return-value]

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The whole statement a node stands in: a simple statement's line, or a compound statement."""
        for above in (node, *self.ancestors(node)):
            if isinstance(above, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
                return above
        return self.module
