"""Whether what one layer gives goes to another layer and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.walk import Tree, walk

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.layers import Link


class PassedOn:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._tree, self._names = tree, names

    def directly(self, first: Link, second: Link) -> bool:
        """Whether two layers stand in one Sequential, or a method gives the first's value to the second alone."""
        above = self._sequence(first.node)
        if above is not None and above is self._sequence(second.node):
            return True
        given, taking = self._only_call(first.node), self._only_call(second.node)
        if given is None or taking is None or len(taking.args) != 1:
            return False
        value = taking.args[0].value
        return value is given or (isinstance(value, cst.Name) and self._reaches_only(given, taking, value))

    def _sequence(self, made: cst.CSTNode) -> cst.CSTNode | None:
        """The Sequential call, or the list, in which a layer is made."""
        given = self._tree.parent(made)
        above = self._tree.parent(given) if isinstance(given, (cst.Arg, cst.Element)) else None
        listed = self._tree.parent(above) if isinstance(above, cst.List) else None
        call = self._tree.parent(listed) if isinstance(listed, cst.Arg) else above
        is_held = isinstance(call, cst.Call) and self._names.full_name(call.func) == "torch.nn.ModuleList"
        return None if is_held else above

    def _only_call(self, made: cst.CSTNode) -> cst.Call | None:
        """The only call of the layer that `self.name` is made here."""
        assign = self._tree.parent(made)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) else None
        name = self._names.self_attribute(target) if target is not None else None
        owner = self._tree.enclosing(made, cst.ClassDef)
        if name is None or owner is None:
            return None
        uses = [
            node
            for node in walk(owner)
            if isinstance(node, cst.Attribute) and node is not target and self._names.self_attribute(node) == name
        ]
        above = self._tree.parent(uses[0]) if len(uses) == 1 else None
        return above if isinstance(above, cst.Call) and above.func is uses[0] else None

    def _reaches_only(self, given: cst.Call, taking: cst.Call, taken: cst.Name) -> bool:
        """Whether `x = first(...)` is read by `x = second(x)` or `return second(x)` and by nothing between or after."""
        start, end = self._tree.statement(given), self._tree.statement(taking)
        block = self._tree.parent(start)
        body = list(getattr(block, "body", ()))
        if self._tree.parent(end) is not block or not self._is_assigned(given, taken.value):
            return False
        between = body[body.index(start) + 1 : body.index(end)]
        if any(not self._stays(statement, taken.value) for statement in between):
            return False
        if sum(isinstance(node, cst.Name) and node.value == taken.value for node in walk(end)) > 2:
            return False
        return self._is_assigned(taking, taken.value) or isinstance(self._tree.parent(taking), cst.Return)

    def _is_assigned(self, call: cst.Call, name: str) -> bool:
        assign = self._tree.parent(call)
        target = assign.targets[0].target if isinstance(assign, cst.Assign) and len(assign.targets) == 1 else None
        return isinstance(target, cst.Name) and target.value == name

    def _stays(self, statement: cst.CSTNode, name: str) -> bool:
        """Whether a statement between leaves the variable alone, or is `x = self.dropout(x)`."""
        uses = [node for node in walk(statement) if isinstance(node, cst.Name) and node.value == name]
        if not uses:
            return True
        given = self._tree.parent(uses[-1])
        call = self._tree.parent(given) if isinstance(given, cst.Arg) else None
        return isinstance(call, cst.Call) and len(uses) == 2 and self._is_assigned(call, name)
