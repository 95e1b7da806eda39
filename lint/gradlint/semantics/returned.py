"""What goes into the value that a method returns: the expressions behind it, as far as local variables lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.walk import Tree


def returned_parts(method: cst.FunctionDef, tree: Tree, names: Names) -> list[cst.BaseExpression]:
    """The returned expressions, and the values of the variables in them, each once."""
    found: dict[cst.BaseExpression, None] = {}
    waiting = [
        node.value
        for node in tree.below(method.body, cst.Return)
        if node.value is not None and tree.enclosing(node, cst.FunctionDef, cst.Lambda) is method
    ]
    while waiting:
        value = waiting.pop(0)
        if value in found:
            continue
        found[value] = None
        for node in tree.below(value, cst.Name):
            if _is_index(node, value, tree):
                continue
            waiting += [
                binding.value
                for binding in names.reference(node).bindings
                if binding.kind is BindingKind.ASSIGNMENT
                and binding.value is not None
                and tree.enclosing(binding.node, cst.FunctionDef) is method
            ]
    return list(found)


def _is_index(name: cst.Name, value: cst.BaseExpression, tree: Tree) -> bool:
    """Whether a variable only says which part of something is taken: `x.gather(1, index=top)`, `places.long()`."""
    child: cst.CSTNode = name
    for above in tree.ancestors(name):
        if child is value:
            return False
        if type(above) is cst.Arg and above.keyword is not None and above.keyword.value in ("index", "indices"):
            return True
        if type(above) is cst.Attribute and above.attr.value in ("long", "int", "bool"):
            return True
        child = above
    return False


def value_before(name: cst.Name, tree: Tree, names: Names) -> cst.BaseExpression | None:
    """What a variable was last assigned in the same block before a use: `x = self.fc(x)` above `return x.data`."""
    statement = tree.statement(name)
    block = tree.parent(statement)
    body = list(block.body) if isinstance(block, cst.IndentedBlock) else []
    before = body[: body.index(statement)] if statement in body else []  # type: ignore[arg-type]
    bindings = {binding.node: binding for binding in names.reference(name).bindings}
    for earlier in reversed(before):
        bound = [bindings[node] for node in tree.walk(earlier) if node in bindings]
        if bound:
            direct = isinstance(earlier, cst.SimpleStatementLine) and bound[-1].kind is BindingKind.ASSIGNMENT
            return bound[-1].value if direct else None
    return None
