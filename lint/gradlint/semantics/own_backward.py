"""Whether `backward()` is called of a value itself: of the expression, or of the variable that it was assigned to.

A call that is given a gradient, `value.backward(gradient)`, hands on what another graph has: it does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.walk import Tree

_SCALING = frozenset({"mean", "sum"})


class OwnBackward:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._tree, self._names = tree, names

    def itself(self, value: cst.BaseExpression) -> cst.Call | None:
        """The `backward()` of a value: `value.backward()`, or of the variable, later in the block that assigns it."""
        above = self._tree.parent(value)
        if isinstance(above, cst.Attribute):
            call = self._tree.parent(above)
            return call if isinstance(call, cst.Call) and call.func is above and _differentiates(call) else None
        if not isinstance(above, cst.Assign) or len(above.targets) != 1:
            return None
        target = above.targets[0].target
        return self.later(target, above) if isinstance(target, cst.Name) else None

    def later(self, name: cst.Name, after: cst.CSTNode) -> cst.Call | None:
        """The `name.backward()` below a statement in its block, as long as nothing between binds the name."""
        line = self._tree.statement(after)
        block = self._tree.parent(line) if line is not None else None
        if not isinstance(block, (cst.IndentedBlock, cst.Module)):
            return None
        body = list(block.body)
        bound = {self._tree.statement(each.node) for each in self._names.reference(name).bindings}
        for statement in body[body.index(line) + 1 :]:  # type: ignore[arg-type]
            found = self._backward(name.value, statement)
            if found is not None:
                return found
            if any(statement is each or statement in self._tree.ancestors(each) for each in bound if each is not None):
                return None
        return None

    def _backward(self, name: str, statement: cst.CSTNode) -> cst.Call | None:
        for call in self._tree.below(statement, cst.Call):
            if not _differentiates(call) or not isinstance(call.func, cst.Attribute):
                continue
            receiver = call.func.value
            while isinstance(receiver, cst.Call) and isinstance(receiver.func, cst.Attribute):
                if receiver.func.attr.value not in _SCALING:
                    break
                receiver = receiver.func.value
            if isinstance(receiver, cst.Name) and receiver.value == name:
                return call
        return None


def _differentiates(call: cst.Call) -> bool:
    method = call.func if isinstance(call.func, cst.Attribute) else None
    given = any(each.keyword is None or each.keyword.value == "gradient" for each in call.args)
    return method is not None and method.attr.value == "backward" and not given
