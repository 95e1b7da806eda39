"""Replays the statements that fill a list of layers, up to the place where it is used.

Straight lines, loops over literal ranges and branches with literal tests are replayed; a list that is touched in any
other way (in another branch, by another method, by a function that receives it) is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import Environment, bound, constant, iterated
from gradlint.scopes import BindingKind, ScopeKind
from gradlint.walk import Tree
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.scopes import Scope
    from gradlint.semantics.layer_values import Items, LayerValues

_MOST_ROUNDS = 1000
_CHANGING = words("append extend add_module insert pop clear remove reverse sort register_module update")
_READING = frozenset({"builtins.len", "builtins.print"})


class _Lost(Exception):
    """The list can no longer be known."""


class ListReplay:
    """The items of a container: of the list variable `subject` at that use, or with `whole` when its block has run.

    The container is a list, ModuleList or Sequential under a name or under `self.name`.
    """

    def __init__(
        self,
        tree: Tree,
        names: Names,
        values: LayerValues,
        subject: cst.Name | cst.Attribute,
        known: Environment | None = None,
        *,
        whole: bool = False,
    ) -> None:
        self._tree, self._names, self._values, self._use, self._whole = tree, names, values, subject, whole
        self._known: dict[str, object] = dict(known or {})
        self._items: Items | None = None
        self._done = False

    def items(self) -> Items | None:
        """The links of each item; None when they cannot be known."""
        block = self._block()
        if not isinstance(block, Sequence):
            return None
        try:
            self._run(block)
        except _Lost:
            return None
        return self._items if self._done or self._whole else None

    def _block(self) -> object:
        """The statements of the function or module that fills the container."""
        scope = self._names.scopes.of(self._use)
        if isinstance(self._use, cst.Name):
            reference = self._names.reference(self._use)
            local = (BindingKind.ASSIGNMENT, BindingKind.AUGMENTED)
            if reference.scope is not scope or any(binding.kind not in local for binding in reference.bindings):
                return None
        if scope.kind is ScopeKind.CLASS:
            return None
        body = scope.node.body if isinstance(scope.node, (cst.FunctionDef, cst.Module)) else None
        return body.body if isinstance(body, cst.IndentedBlock) else body

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
            elif isinstance(statement, cst.For) and (self._whole or self._use not in mentioned):
                self._loop(statement)
            elif isinstance(statement, cst.If) and (self._whole or self._use not in mentioned):
                self._branch(statement)
            elif self._use in mentioned and isinstance(statement, (cst.If, cst.With)):
                self._enter(statement)
            elif not self._whole or any(map(self._is_changed, mentioned)):
                raise _Lost

    def _branch(self, statement: cst.If) -> None:
        """Run the branch that a literal test takes."""
        taken = constant(statement.test, self._names, self._known)
        if not isinstance(taken, (bool, int)):
            if self._whole and not any(map(self._is_changed, self._mentions(statement))):
                return
            raise _Lost
        orelse = statement.orelse
        if taken and isinstance(statement.body, cst.IndentedBlock):
            self._run(statement.body.body)
        elif not taken and isinstance(orelse, cst.Else) and isinstance(orelse.body, cst.IndentedBlock):
            self._run(orelse.body.body)
        elif not taken and isinstance(orelse, cst.If):
            self._branch(orelse)
        elif taken:
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
        rounds = iterated(loop.iter, self._names, self._known)
        body = loop.body.body if isinstance(loop.body, cst.IndentedBlock) else None
        leaves = any(self._tree.below(loop.body, kind) for kind in (cst.Break, cst.Continue, cst.Return))
        if rounds is None or len(rounds) > _MOST_ROUNDS or body is None or loop.orelse is not None or leaves:
            if self._whole and not any(map(self._is_changed, self._mentions(loop))):
                return
            raise _Lost
        for value in rounds:
            names = bound(loop.target, value)
            if names is None:
                raise _Lost
            self._known.update(names)
            self._run(body)
            if self._items is not None and len(self._items) > _MOST_ROUNDS:
                raise _Lost

    def _step(self, small: cst.CSTNode) -> None:
        if not self._whole and self._use in self._mentions(small):
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
        method = function.attr.value
        if self._whole and method not in _CHANGING:
            return
        wanted = 2 if method == "add_module" else 1
        if len(values) != wanted or len(call.args) != wanted or self._items is None:
            raise _Lost
        if method in ("append", "add_module"):
            self._items.append(self._values.layer(values[-1], self._known))
        elif method == "extend":
            self._extend(function.value, values[0])
        else:
            raise _Lost

    def _extend(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        if not self._is_list(target) or self._items is None:
            raise _Lost
        self._items = self._items + self._known_items(value)

    def _known_items(self, value: cst.BaseExpression) -> Items:
        if self._mentions(value):
            raise _Lost
        items = self._values.items(value, self._known)
        if items is None:
            raise _Lost
        return list(items)

    def _is_list(self, node: cst.CSTNode) -> bool:
        if isinstance(self._use, cst.Name):
            return isinstance(node, cst.Name) and node.value == self._use.value
        return isinstance(node, cst.Attribute) and self._names.self_attribute(node) == self._use.attr.value

    def _mentions(self, node: cst.CSTNode) -> list[cst.CSTNode]:
        return [below for below in self._tree.below(node, type(self._use)) if self._is_list(below)]

    def _is_changed(self, mention: cst.CSTNode) -> bool:
        above = self._tree.parent(mention)
        if isinstance(above, cst.Subscript) and above.value is mention:
            above = self._tree.parent(above)
            return isinstance(above, (cst.AssignTarget, cst.AugAssign, cst.Del))
        if isinstance(above, cst.Attribute) and above.value is mention:
            return above.attr.value in _CHANGING
        return isinstance(above, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign, cst.Del))

    def _only_reads(self, node: cst.CSTNode) -> bool:
        mentions = self._mentions(node)
        if self._whole:
            return not any(map(self._is_changed, mentions))
        for mention in mentions:
            argument = self._tree.parent(mention)
            call = self._tree.parent(argument) if isinstance(argument, cst.Arg) else None
            if not isinstance(call, cst.Call) or self._names.full_name(call.func) not in _READING:
                return False
        return True


class Grown:
    """Which lists, ModuleLists and Sequentials of a file are filled after they were made: `self.layers.append(...)`."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._names = names
        self._attributes: set[str] = set()
        self._variables: set[tuple[str, Scope | None]] = set()
        for word in (each for method in _CHANGING for each in tree.named(method)):
            call = tree.call_of(word)
            if call is not None and isinstance(call.func, cst.Attribute):
                self._read(call.func.value)

    def _read(self, receiver: cst.BaseExpression) -> None:
        attribute = self._names.self_attribute(receiver)
        if attribute is not None:
            self._attributes.add(attribute)
        elif isinstance(receiver, cst.Name):
            self._variables.add(self._variable(receiver))

    def _variable(self, name: cst.Name) -> tuple[str, Scope | None]:
        return name.value, self._names.reference(name).scope

    def holds(self, subject: cst.Name | cst.Attribute) -> bool:
        """Whether what a variable or an attribute of `self` is given is not yet all that it holds."""
        if isinstance(subject, cst.Attribute):
            return subject.attr.value in self._attributes
        return self._variable(subject) in self._variables
