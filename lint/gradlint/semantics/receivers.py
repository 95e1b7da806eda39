"""Whether an expression is a module: `self`, `self.fc`, `self.layers[0]`, a variable, the variable of a loop."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import Binding, BindingKind
from gradlint.semantics.module_class import AttributeKind
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import Attribute, ModuleClasses
    from gradlint.walk import Tree

_EACH = words("modules children")
_EACH_NAMED = words("named_modules named_children")
_LISTS = frozenset({"torch.nn.ModuleList", "torch.nn.Sequential"})


class Receivers:
    """Answers for one file; what cannot be known is no module."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes

    def is_module(self, expression: cst.CSTNode) -> bool:
        """Whether an expression surely is a module."""
        if isinstance(expression, cst.Name):
            owner = self._names.self_class(expression)
            if owner is not None:
                return self._classes.of(owner).is_module is True
            bindings = self._names.reference(expression).bindings
            return bool(bindings) and all(map(self._binds_module, bindings))
        if isinstance(expression, cst.Subscript):
            only = expression.slice[0].slice if len(expression.slice) == 1 else None
            return isinstance(only, cst.Index) and self._is_list(expression.value)
        places = self._places(expression)
        if not places and isinstance(expression, cst.Attribute):
            return self._is_replaced(expression)
        return bool(places) and all(place.kind is AttributeKind.LAYER for place in places)

    def _is_replaced(self, expression: cst.Attribute) -> bool:
        """Whether the same function sets the same attribute to layers only: `model.fc = nn.Linear(512, 10)`."""
        path = _path(expression)
        values = self._replaced.get((path, self._names.scopes.of(expression).node), []) if path else []
        return bool(values) and all(self._classes.kind_of(value) is AttributeKind.LAYER for value in values)

    @cached_property
    def _replaced(self) -> dict[tuple[str | None, cst.CSTNode], list[cst.BaseExpression]]:
        """What is assigned to `a.b` and `a.b.c`, by that text and the scope."""
        found: dict[tuple[str | None, cst.CSTNode], list[cst.BaseExpression]] = {}
        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                if isinstance(target.target, cst.Attribute):
                    key = _path(target.target), self._names.scopes.of(target.target).node
                    found.setdefault(key, []).append(assign.value)
        return found

    def _places(self, expression: cst.CSTNode) -> list[Attribute]:
        name = self._names.self_attribute(expression)
        owner = self._classes.enclosing(expression)
        if name is None or owner is None or not owner.is_module:
            return []
        lineage = self._classes.lineage(owner)
        return next((one.attributes[name] for one in lineage if name in one.attributes), [])

    def _is_list(self, expression: cst.CSTNode) -> bool:
        places = self._places(expression)
        if places:
            return all(place.type in _LISTS for place in places)
        binding = self._names.reference(expression).binding if isinstance(expression, cst.Name) else None
        return binding is not None and self._classes.constructed(binding.value) in _LISTS

    def _binds_module(self, binding: Binding) -> bool:
        if binding.kind is BindingKind.ASSIGNMENT:
            return self._classes.kind_of(binding.value) is AttributeKind.LAYER
        if binding.kind is BindingKind.PARAMETER and isinstance(binding.node, cst.Param):
            told = binding.node.annotation
            return told is not None and self._classes.is_module(self._names.full_name(told.annotation)) is True
        return binding.kind is BindingKind.LOOP and self._loops_over_modules(binding)

    def _loops_over_modules(self, binding: Binding) -> bool:
        loop = self._tree.enclosing(binding.node, cst.For, cst.CompFor)
        if not isinstance(loop, (cst.For, cst.CompFor)):
            return False
        walked, target = loop.iter, loop.target
        method = (
            walked.func.attr.value if isinstance(walked, cst.Call) and isinstance(walked.func, cst.Attribute) else ""
        )
        if target is binding.node:
            return method in _EACH or self._is_list(walked)
        second = target.elements[1].value if isinstance(target, cst.Tuple) and len(target.elements) == 2 else None
        return method in _EACH_NAMED and second is binding.node


def _path(expression: cst.BaseExpression) -> str | None:
    """The text of names joined by dots; None of anything else."""
    if isinstance(expression, cst.Name):
        return expression.value
    if not isinstance(expression, cst.Attribute):
        return None
    before = _path(expression.value)
    return f"{before}.{expression.attr.value}" if before is not None else None
