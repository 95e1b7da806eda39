"""Replays the statements that fill a list of layers, up to the place where it is used.

Straight lines and loops over literal ranges are replayed; a list that is touched in any other way (in a branch, by
another method, by a function that receives it) is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import constant
from gradlint.scopes import BindingKind, ScopeKind
from gradlint.walk import Tree, walk

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.layer_values import Items, LayerValues

_MOST_ROUNDS = 1000
_READING = frozenset({"builtins.len", "builtins.print"})


class _Lost(Exception):
    """The list can no longer be known."""


class ListReplay:
    """The items of the list variable `use`, at that use."""

    def __init__(self, tree: Tree, names: Names, values: LayerValues, use: cst.Name) -> None:
        self._tree, self._names, self._values, self._use = tree, names, values, use
        self._known: dict[str, object] = {}
        self._items: Items | None = None
        self._done = False

    def items(self) -> Items | None:
        """The links of each item; None when they cannot be known."""
        reference = self._names.reference(self._use)
        local = (BindingKind.ASSIGNMENT, BindingKind.AUGMENTED)
        if reference.scope is None or any(binding.kind not in local for binding in reference.bindings):
            return None
        scope = reference.scope
        if scope is not self._names.scopes.of(self._use) or scope.kind is ScopeKind.CLASS:
            return None
        body = scope.node.body if isinstance(scope.node, (cst.FunctionDef, cst.Module)) else None
        block = body.body if isinstance(body, cst.IndentedBlock) else body
        if not isinstance(block, Sequence):
            return None
        try:
            self._run(block)
        except _Lost:
            return None
        return self._items if self._done else None

    def _run(self, block: Sequence[cst.CSTNode]) -> None:
        for statement in block:
            if self._done:
                return
            mentioned = self._mentions(statement)
            if not mentioned:
                continue
            if isinstance(statement, cst.SimpleStatementLine):
                for small in statement.body:
                    if not self._done and self._mentions(small):
                        self._step(small)
            elif isinstance(statement, cst.For) and self._use not in mentioned:
                self._loop(statement)
            elif self._use in mentioned and isinstance(statement, (cst.If, cst.With)):
                self._enter(statement)
            else:
                raise _Lost

    def _enter(self, statement: cst.If | cst.With) -> None:
        """Go on in the block that holds the use; what another branch does is not run."""
        if self._use in self._mentions(statement.body) and isinstance(statement.body, cst.IndentedBlock):
            self._run(statement.body.body)
        elif isinstance(statement, cst.If) and isinstance(statement.orelse, cst.Else):
            self._run(statement.orelse.body.body)
        else:
            raise _Lost

    def _loop(self, loop: cst.For) -> None:
        rounds = constant(loop.iter, self._names, self._known)
        body = loop.body.body if isinstance(loop.body, cst.IndentedBlock) else None
        leaves = any(isinstance(node, (cst.Break, cst.Continue, cst.Return)) for node in walk(loop.body))
        plain = isinstance(loop.target, cst.Name) and loop.orelse is None and not leaves
        if not isinstance(rounds, tuple) or len(rounds) > _MOST_ROUNDS or body is None or not plain:
            raise _Lost
        assert isinstance(loop.target, cst.Name)
        for value in rounds:
            self._known[loop.target.value] = value
            self._run(body)
            if self._items is not None and len(self._items) > _MOST_ROUNDS:
                raise _Lost
        self._known.pop(loop.target.value, None)

    def _step(self, small: cst.CSTNode) -> None:
        if self._use in self._mentions(small):
            self._done = True
        elif (assigned := self._assigned(small)) is not None:
            self._items = self._known_items(assigned)
        elif isinstance(small, cst.AugAssign) and isinstance(small.operator, cst.AddAssign):
            self._extend(small.target, small.value)
        elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Call):
            self._call(small.value)
        elif not self._only_reads(small):
            raise _Lost

    def _assigned(self, small: cst.CSTNode) -> cst.BaseExpression | None:
        """The value of an assignment to the list's name alone."""
        if isinstance(small, cst.Assign) and len(small.targets) == 1 and self._is_list(small.targets[0].target):
            return small.value
        return small.value if isinstance(small, cst.AnnAssign) and self._is_list(small.target) else None

    def _call(self, call: cst.Call) -> None:
        function = call.func
        if not isinstance(function, cst.Attribute) or not self._is_list(function.value):
            if not self._only_reads(call):
                raise _Lost
            return
        values = [argument.value for argument in call.args if not argument.star and argument.keyword is None]
        if len(values) != 1 or len(call.args) != 1 or self._items is None:
            raise _Lost
        if function.attr.value == "append":
            self._items.append(self._values.layer(values[0], self._known))
        elif function.attr.value == "extend":
            self._extend(function.value, values[0])
        else:
            raise _Lost

    def _extend(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        if not self._is_list(target) or self._items is None:
            raise _Lost
        self._items = self._items + self._known_items(value)

    def _known_items(self, value: cst.BaseExpression) -> Items:
        if any(isinstance(node, cst.Name) and node.value == self._use.value for node in walk(value)):
            raise _Lost
        items = self._values.items(value, self._known)
        if items is None:
            raise _Lost
        return items

    def _is_list(self, node: cst.CSTNode) -> bool:
        return isinstance(node, cst.Name) and node.value == self._use.value

    def _mentions(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        return [below for below in walk(node) if self._is_list(below)]

    def _only_reads(self, node: cst.CSTNode) -> bool:
        for mention in self._mentions(node):
            argument = self._tree.parent(mention)
            call = self._tree.parent(argument) if isinstance(argument, cst.Arg) else None
            if not isinstance(call, cst.Call) or self._names.full_name(call.func) not in _READING:
                return False
        return True
