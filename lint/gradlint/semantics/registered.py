"""The layers that a class keeps under `self`: what `self.name` is when `forward` uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.semantics.module_class import Attribute, AttributeKind, ModuleClass

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.layer_values import Items, LayerValues
    from gradlint.walk import Tree

_ADDING = frozenset({"append", "extend", "insert", "add_module"})


class RegisteredLayers:
    """The attributes of a class and its bases in this file, nearest first, as far as each is set in one place."""

    def __init__(self, tree: Tree, names: Names, values: LayerValues, lineage: list[ModuleClass]) -> None:
        self._tree, self._names, self._values, self._lineage = tree, names, values, lineage

    def method(self, name: str) -> cst.FunctionDef | None:
        """The method of a name."""
        return next((one.methods[name] for one in self._lineage if name in one.methods), None)

    def constructor(self, name: str) -> cst.Call | None:
        """The call that makes the layer `self.name`; None when it depends on anything."""
        found = self._only(name)
        is_layer = found is not None and found.kind is AttributeKind.LAYER
        return found.value if is_layer and found is not None and isinstance(found.value, cst.Call) else None

    def items(self, value: cst.BaseExpression) -> Items | None:
        """The links of each layer in the list `self.name`."""
        name = self._names.self_attribute(value)
        found = self._only(name) if name is not None else None
        if found is None or name is None or self._grows(name):
            return None
        return self._values.items(found.value)

    def _only(self, name: str) -> Attribute | None:
        owner = next((one for one in self._lineage if name in one.attributes), None)
        found = owner.attribute(name) if owner is not None else None
        return None if found is None or self._is_conditional(found.node) else found

    def _grows(self, name: str) -> bool:
        """Whether a ModuleList is filled after it was made."""
        return any(
            isinstance(call.func, cst.Attribute)
            and call.func.attr.value in _ADDING
            and self._names.self_attribute(call.func.value) == name
            for call in self._tree.nodes(cst.Call)
        )

    def _is_conditional(self, node: cst.CSTNode) -> bool:
        for above in self._tree.ancestors(node):
            if isinstance(above, cst.FunctionDef):
                return False
            if isinstance(above, (cst.If, cst.For, cst.While, cst.Try, cst.Match)):
                return True
        return False
