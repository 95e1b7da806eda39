"""Places whose results training differentiates: in what runs when a module is called, in losses, on known graphs."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.forward_methods import running
from gradlint.semantics.grad_mode import Mode

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.grad_mode import GradMode
    from gradlint.semantics.graph_values import GraphValues
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.walk import Tree

_LOSS: Final = re.compile(r"loss|criterion|penalty|regulari[sz]", re.IGNORECASE)
# Code that measures, decodes or prepares; nothing there is trained.
_OUTSIDE: Final = re.compile(
    r"metric|eval|accuracy|decode|encode_|box|nms|process|augment|transform|infer|predict|generat|sampl|schedul|visuali"
    r"|match|init|test|export|extract",
    re.IGNORECASE,
)


class Differentiated:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses, mode: GradMode, graphs: GraphValues) -> None:
        self._tree, self._names, self._classes, self._mode, self._graphs = tree, names, classes, mode, graphs

    def holds(self, value: cst.CSTNode) -> bool:
        """Whether a value most likely is differentiated: autograd records, and a forward pass or a loss makes it."""
        function = self._tree.enclosing(value, cst.FunctionDef)
        if function is None or self._mode.at(value) is not Mode.ON:
            return self._graphs.carries(value)
        if any(_OUTSIDE.search(name) for name in self._around(value)):
            return self._graphs.carries(value)
        if function in self._running or _LOSS.search(function.name.value):
            return True
        return self._graphs.carries(value)

    def _around(self, value: cst.CSTNode) -> list[str]:
        """The names of the functions and classes around a node."""
        return [
            above.name.value
            for above in self._tree.ancestors(value)
            if isinstance(above, (cst.FunctionDef, cst.ClassDef))
        ]

    @cached_property
    def _running(self) -> set[cst.FunctionDef]:
        return {method for owner in self._classes.modules for method in running(owner, self._classes, self._names)}
