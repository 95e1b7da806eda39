"""Places whose results training differentiates: in what runs when a module is called, in losses, on known graphs."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.forward_methods import running
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.untrained import Untrained

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.grad_mode import GradMode
    from gradlint.semantics.graph_values import GraphValues
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.walk import Tree

_LOSS: Final = re.compile(
    r"loss|criterion|penalty|regulari[sz]|(?:^|_)(?:bce|nll)(?:_|$)|cross_entropy|CrossEntropy", re.IGNORECASE
)
_DEEPEST: Final = 3  # calls from a forward pass or loss down to a function of the file
# Code that measures, decodes or prepares; nothing there is trained.
_OUTSIDE: Final = re.compile(
    r"metric|eval|accuracy|decode|encode_|box|nms|process|augment|transform|infer|predict|generat|sampl|schedul|visuali"
    r"|match|init|test|export|extract",
    re.IGNORECASE,
)
# Code that computes features of the data or fixed positions; in a loss it is given what the network has made.
_FEATURES: Final = re.compile(r"stft|spectrogram|fbank|rotary|rope(?:_|$)", re.IGNORECASE)


def is_loss(name: str) -> bool:
    """Whether a function or class is a loss by its name."""
    return _LOSS.search(name) is not None


def names_around(value: cst.CSTNode, tree: Tree) -> list[str]:
    """The names of the functions and classes around a node."""
    around = (above for above in tree.ancestors(value) if isinstance(above, (cst.FunctionDef, cst.ClassDef)))
    return [above.name.value for above in around]


class Differentiated:
    """Answers for one file."""

    def __init__(
        self,
        tree: Tree,
        names: Names,
        classes: ModuleClasses,
        calls: LocalCalls,
        mode: GradMode,
        graphs: GraphValues,
    ) -> None:
        self._tree, self._names, self._classes, self._calls = tree, names, classes, calls
        self._mode, self._graphs = mode, graphs
        self._untrained = Untrained(tree, names, classes)
        self._measures = not {"metric", "metrics"}.isdisjoint(names.module.split("."))

    def holds(self, value: cst.CSTNode) -> bool:
        """Whether a value most likely is differentiated: autograd records, and a forward pass or a loss makes it."""
        return self._holds(value, unknown=False)

    def may_hold(self, value: cst.CSTNode) -> bool:
        """The same, but a function of which it is not known who calls it counts, too."""
        return self._holds(value, unknown=True)

    def is_untrained(self, value: cst.CSTNode) -> bool:
        """Whether a value surely has no graph, because nothing it is computed from has one."""
        return self._untrained.holds(value)

    def _holds(self, value: cst.CSTNode, *, unknown: bool) -> bool:
        function = self._tree.enclosing(value, cst.FunctionDef)
        if self._untrained.holds(value):
            return False
        if function is None or self._mode.at(value) is not Mode.ON:
            return self._graphs.carries(value)
        around = names_around(value, self._tree)
        loss = any(map(is_loss, around))
        if any(_OUTSIDE.search(name) or (not loss and _FEATURES.search(name)) for name in around):
            return self._graphs.carries(value)
        if self._is_trained(function, _DEEPEST):
            return True
        known = self._classes.enclosing(function) is not None or bool(self._calls.possible_sites(function))
        return (unknown and not known) or self._graphs.carries(value)

    def _is_trained(self, function: cst.FunctionDef, deepest: int) -> bool:
        """Whether a function is a forward pass or a loss, or called by one with gradients."""
        if function in self._running or is_loss(function.name.value):
            return True
        for call in self._calls.sites(function) if deepest and not self._measures else ():
            caller = self._tree.enclosing(call, cst.FunctionDef)
            if caller is None or caller is function or self._mode.at(call) is not Mode.ON:
                continue
            outside = any(_OUTSIDE.search(name) for name in names_around(call, self._tree))
            if not outside and self._is_trained(caller, deepest - 1):
                return True
        return False

    @cached_property
    def _running(self) -> set[cst.FunctionDef]:
        return {method for owner in self._classes.modules for method in running(owner, self._classes, self._names)}
