"""Values that come from what a method is given, as far as a graph goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind, ScopeKind
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.graph_ends import ENDING, ENDING_FUNCTIONS
from gradlint.walk import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.grad_mode import GradMode

_DEEPEST: Final = 12


class InputValues:
    """Answers for one file."""

    def __init__(self, names: Names, mode: GradMode) -> None:
        self._names, self._mode = names, mode

    def reaches(self, expression: cst.CSTNode, method: cst.FunctionDef, depth: int = 0) -> bool:
        """Whether an argument of a method goes into a value with its graph; false where that cannot be seen."""
        for name in self._leaves(expression):
            for binding in self._names.reference(name).bindings:
                if binding.kind is BindingKind.PARAMETER and self._is_tensor(binding.node, method):
                    return True
                value = binding.value if binding.kind is BindingKind.ASSIGNMENT else None
                if value is None or depth >= _DEEPEST or self._mode.at(value) is Mode.OFF:
                    continue
                if self.reaches(value, method, depth + 1):
                    return True
        return False

    def _is_tensor(self, node: cst.CSTNode, method: cst.FunctionDef) -> bool:
        """Whether a parameter of the function may be a tensor: not `self`, not a number by annotation or default."""
        given = [*method.params.posonly_params, *method.params.params]
        given = given[1:] if self._names.scopes.of(method).kind is ScopeKind.CLASS else given
        if not isinstance(node, cst.Param) or node not in given or node.default is not None:
            return False
        told = self._names.full_name(node.annotation.annotation) if node.annotation is not None else None
        return told is None or told == "torch.Tensor"

    def _leaves(self, value: cst.CSTNode) -> Iterator[cst.Name]:
        """The names in a value, but not below what ends a graph, in comparisons, indices or names of attributes."""
        if isinstance(value, cst.Name):
            yield value
        elif isinstance(value, cst.Attribute):
            if value.attr.value not in ENDING:
                yield from self._leaves(value.value)
        elif isinstance(value, cst.Subscript):
            yield from self._leaves(value.value)
        elif isinstance(value, cst.Call):
            function = value.func
            if self._names.full_name(function) in ENDING_FUNCTIONS:
                return
            if isinstance(function, cst.Attribute) and function.attr.value in ENDING:
                return
            yield from self._leaves(function)
            for given in value.args:
                yield from self._leaves(given.value)
        elif not isinstance(value, (cst.Comparison, cst.Lambda, cst.BaseString)):
            for below in children(value):
                yield from self._leaves(below)
