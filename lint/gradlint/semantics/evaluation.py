"""Functions that evaluate a network: the loop, the forward pass in it, and what else they do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.receiver_places import place_of
from gradlint.walk import walk
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.receiver_places import ReceiverPlace
    from gradlint.walk import Tree

# Whatever differentiates, or may: its names alone are enough to stay silent.
_DIFFERENTIATING: Final = re.compile(
    r"grad|backward|attack|adversar|perturb|jacobian|hessian|vjp|jvp|saliency|attribution|fisher|langevin|energy|force"
)
_STEPPING: Final = words("step train_step training_step fit optimize")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A function that calls a network in a loop: `loop` is the outermost loop, `forward` the first call in it."""

    function: cst.FunctionDef
    loop: cst.For | cst.While
    forward: cst.Call
    network: ReceiverPlace
    eval_call: cst.Call | None


class Evaluations:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, calls: LocalCalls) -> None:
        self._tree, self._names, self._calls = tree, names, calls

    def with_eval(self) -> Iterator[Evaluation]:
        """The functions that call `net.eval()` and then `net(...)` in a loop."""
        for call in self._tree.nodes(cst.Call):
            function = self._tree.enclosing(call, cst.FunctionDef, cst.ClassDef, cst.Lambda)
            if not isinstance(function, cst.FunctionDef) or not is_mode_call(call, "eval"):
                continue
            if function.name.value in ("forward", "__call__"):
                continue
            assert isinstance(call.func, cst.Attribute)
            network = place_of(call.func.value, self._names, {})
            found = self._forward(function, network, call) if network is not None else None
            if found is not None and network is not None:
                yield Evaluation(function, *found, network, call)

    def _forward(
        self, function: cst.FunctionDef, network: ReceiverPlace, after: cst.Call
    ) -> tuple[cst.For | cst.While, cst.Call] | None:
        begun = False
        for node in walk(function.body):
            begun = begun or node is after
            if not begun or not isinstance(node, cst.Call):
                continue
            if is_mode_call(node, "train") and isinstance(node.func, cst.Attribute):
                if place_of(node.func.value, self._names, {}) == network:
                    return None
            elif self.calls_network(node, network):
                loops = self.loops_around(node, function)
                if loops and loops[0] not in self._tree.ancestors(after):
                    return loops[-1], node
        return None

    def calls_network(self, call: cst.Call, network: ReceiverPlace) -> bool:
        """Whether a call is `net(...)` or `net.forward(...)`."""
        called = call.func
        if isinstance(called, cst.Attribute) and called.attr.value == "forward":
            called = called.value
        return place_of(called, self._names, {}) == network

    def loops_around(self, node: cst.CSTNode, function: cst.FunctionDef) -> list[cst.For | cst.While]:
        """The loops around a node within a function, nearest first."""
        found: list[cst.For | cst.While] = []
        for above in self._tree.ancestors(node):
            if above is function:
                return found
            if isinstance(above, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
                return []
            if isinstance(above, (cst.For, cst.While)):
                found.append(above)
        return found

    def may_differentiate(self, code: cst.FunctionDef | cst.For | cst.While) -> bool:
        """Whether a function or loop, or a helper of the file that it calls, may train or differentiate something."""
        return self._may_differentiate(code, set())

    def _may_differentiate(self, function: cst.CSTNode, seen: set[cst.CSTNode]) -> bool:
        if function in seen:
            return False
        seen.add(function)
        for node in walk(function):
            if isinstance(node, cst.Name) and _is_suspect(node.value):
                return True
            inner = self._calls.target(node) if isinstance(node, cst.Call) else None
            if inner is not None and self._may_differentiate(inner, seen):
                return True
        return False


def _is_suspect(name: str) -> bool:
    return name != "no_grad" and (name in _STEPPING or _DIFFERENTIATING.search(name) is not None)


def is_mode_call(call: cst.Call, mode: str) -> bool:
    """Whether a call is `x.eval()` or `x.train()` without arguments."""
    method = call.func if isinstance(call.func, cst.Attribute) else None
    return method is not None and method.attr.value == mode and not call.args
