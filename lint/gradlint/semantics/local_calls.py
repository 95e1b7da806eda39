"""Which function of the file a call runs, who calls a function, and what its parameters get."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.walk import Tree


class LocalCalls:
    """Answers for one file: functions, `self.method`, and methods of instances of the file's own classes."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes

    def target(self, call: cst.Call) -> cst.FunctionDef | None:
        """The function or method of this file that a call surely runs; None when it cannot be known."""
        if type(call.func) is cst.Name:
            binding = self._names.reference(call.func).binding
            is_function = binding is not None and binding.kind is BindingKind.FUNCTION
            return binding.node if is_function and isinstance(binding.node, cst.FunctionDef) else None  # type: ignore[union-attr]
        if not isinstance(call.func, cst.Attribute):
            return None
        owner = self._class_of(call.func.value)
        lineage = self._classes.lineage(owner) if owner is not None else []
        method = call.func.attr.value
        return next((one.methods[method] for one in lineage if method in one.methods), None)

    def _class_of(self, receiver: cst.BaseExpression) -> ModuleClass | None:
        own = self._names.self_class(receiver)
        if own is not None:
            return self._classes.of(own)
        binding = self._names.reference(receiver).binding if isinstance(receiver, cst.Name) else None
        return self._classes.named(self._classes.constructed(binding.value)) if binding is not None else None

    def is_unknown_method(self, call: cst.Call) -> bool:
        """Whether a call runs a method of `self` that no class of the file has, nor sets as an attribute."""
        if not isinstance(call.func, cst.Attribute):
            return False
        node = self._names.self_class(call.func.value)
        lineage = self._classes.lineage(self._classes.of(node)) if node is not None else []
        name = call.func.attr.value
        return bool(lineage) and not any(name in one.methods or name in one.attributes for one in lineage)

    @cached_property
    def _sites(self) -> dict[cst.FunctionDef, list[cst.Call]]:
        found: dict[cst.FunctionDef, list[cst.Call]] = {}
        for call in self._tree.nodes(cst.Call):
            function = self.target(call)
            if function is not None:
                found.setdefault(function, []).append(call)
        return found

    def sites(self, function: cst.FunctionDef) -> list[cst.Call]:
        """The calls of the file that surely run a function."""
        return self._sites.get(function, [])

    def possible_sites(self, function: cst.FunctionDef) -> list[cst.Call]:
        """The calls of the file that may run it: for a method, also those of its name on any receiver."""
        return list(dict.fromkeys((*self.sites(function), *self._by_method.get(function.name.value, ()))))

    @cached_property
    def _by_method(self) -> dict[str, list[cst.Call]]:
        found: dict[str, list[cst.Call]] = {}
        for call in self._tree.nodes(cst.Call):
            if type(call.func) is cst.Attribute:
                found.setdefault(call.func.attr.value, []).append(call)
        return found

    def arguments(self, call: cst.Call, function: cst.FunctionDef) -> dict[str, cst.BaseExpression]:
        """What a call gives to the parameters by name; without defaults, and nothing that a star may shift."""
        parameters = [each.name.value for each in (*function.params.posonly_params, *function.params.params)]
        bound = isinstance(call.func, cst.Attribute) and self._classes.enclosing(function) is not None
        if bound and parameters and not self._is_static(function):
            parameters = parameters[1:]
        keywords = {each.name.value for each in (*function.params.params, *function.params.kwonly_params)}
        found: dict[str, cst.BaseExpression] = {}
        for index, given in enumerate(call.args):
            if given.star:
                break
            if given.keyword is not None and given.keyword.value in keywords:
                found[given.keyword.value] = given.value
            elif given.keyword is None and index < len(parameters):
                found[parameters[index]] = given.value
        return found

    def _is_static(self, function: cst.FunctionDef) -> bool:
        return any(self._names.full_name(each.decorator) == "builtins.staticmethod" for each in function.decorators)
