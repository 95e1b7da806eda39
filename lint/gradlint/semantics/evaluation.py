"""Functions and scripts that evaluate a network: the loop, the forward pass in it, and what else they do."""

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
    r"|gcam|medcam"
)
_AROUND: Final[frozenset[type[cst.CSTNode]]] = frozenset(
    (cst.For, cst.While, cst.FunctionDef, cst.ClassDef, cst.Lambda)
)
_STEPPING: Final = words("step train_step training_step fit optimize")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Code that calls a network in a loop: `loop` is the outermost loop, `forward` the first call in it.

    `function` is what it stands in, None at the top level of a file; `code` is all that runs in evaluation mode.
    """

    function: cst.FunctionDef | None
    code: tuple[cst.CSTNode, ...]
    loop: cst.For | cst.While
    forward: cst.Call
    network: ReceiverPlace
    eval_call: cst.Call | None


class Evaluations:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, calls: LocalCalls) -> None:
        self._tree, self._names, self._calls = tree, names, calls

    def with_eval(self) -> Iterator[Evaluation]:
        """The functions and scripts that call `net.eval()` and then `net(...)` in a loop."""
        for call in self._tree.nodes(cst.Call):
            around = self._tree.enclosing(call, cst.FunctionDef, cst.ClassDef, cst.Lambda)
            function = around if isinstance(around, cst.FunctionDef) else None
            if around is not function or not is_mode_call(call, "eval"):
                continue
            if function is not None and function.name.value in ("forward", "__call__"):
                continue
            assert isinstance(call.func, cst.Attribute)
            network = place_of(call.func.value, self._names, {})
            if network is None:
                continue
            code = (function,) if function is not None else self._below(call, network, to_the_end=False)
            found = self._forward(function, code, network, call)
            if function is None:
                code = self._below(call, network, to_the_end=True)
            if found is not None:
                yield Evaluation(function, code, *found, network, call)

    def _below(self, eval_call: cst.Call, network: ReceiverPlace, *, to_the_end: bool) -> tuple[cst.CSTNode, ...]:
        """The statements of a script from `net.eval()` on, up to what trains the network again.

        To the end of its block, or of the file: what was computed under a `with` or `if` may be differentiated below.
        """
        found: list[cst.CSTNode] = []
        child = self._tree.statement(eval_call)
        for block in self._tree.ancestors(child) if child is not None else ():
            if isinstance(block, (cst.IndentedBlock, cst.Module)):
                body = list(block.body)
                start = body.index(child) + bool(found)  # type: ignore[arg-type]
                for below in body[start:]:
                    if self._trains(below, network):
                        return tuple(found)
                    found.append(below)
                if not to_the_end:
                    break
            child = block
        return tuple(found)

    def _trains(self, statement: cst.CSTNode, network: ReceiverPlace) -> bool:
        """Whether a statement calls `net.train()`; what functions that it defines do, they do not do here."""
        defines = isinstance(statement, (cst.FunctionDef, cst.ClassDef))
        calls = self._tree.below(statement, cst.Call) if not defines else ()
        return any(self._is_mode_of(call, "train", network) for call in calls)

    def _forward(
        self, function: cst.FunctionDef | None, code: tuple[cst.CSTNode, ...], network: ReceiverPlace, after: cst.Call
    ) -> tuple[cst.For | cst.While, cst.Call] | None:
        begun = False
        for node in (each for part in code for each in walk(part)):
            begun = begun or node is after
            if not begun or not isinstance(node, cst.Call):
                continue
            if self._is_mode_of(node, "train", network):
                return None
            if self.calls_network(node, network):
                loops = self.loops_around(node, function)
                if loops and loops[0] not in self._tree.ancestors(after):
                    return loops[-1], node
        return None

    def _is_mode_of(self, call: cst.Call, mode: str, network: ReceiverPlace) -> bool:
        method = call.func if is_mode_call(call, mode) else None
        return isinstance(method, cst.Attribute) and place_of(method.value, self._names, {}) == network

    def calls_network(self, call: cst.Call, network: ReceiverPlace) -> bool:
        """Whether a call is `net(...)` or `net.forward(...)`."""
        called = call.func
        if isinstance(called, cst.Attribute) and called.attr.value == "forward":
            called = called.value
        return place_of(called, self._names, {}) == network

    def loops_around(self, node: cst.CSTNode, function: cst.FunctionDef | None) -> list[cst.For | cst.While]:
        """The loops around a node within a function, or at the top level of the file, nearest first."""
        found: list[cst.For | cst.While] = []
        for above, _, _ in self._tree.climb(node, _AROUND):
            if above is function:
                return found
            if not isinstance(above, (cst.For, cst.While)):
                return []
            found.append(above)
        return found

    def may_differentiate(self, code: cst.CSTNode) -> bool:
        """Whether a function, loop or statement, or a helper of the file that it calls, may train or differentiate."""
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
