"""Where autograd records: `no_grad` and its kin around a node, on its function, or at the calls of its function."""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import UNKNOWN, constant
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.walk import Tree

_HOMES: Final = ("torch", "torch.autograd", "torch.autograd.grad_mode")
_OFF: Final = frozenset(f"{home}.{name}" for home in _HOMES for name in ("no_grad", "inference_mode"))
_ON: Final = frozenset(f"{home}.enable_grad" for home in _HOMES)
_SET: Final = frozenset(f"{home}.set_grad_enabled" for home in _HOMES)
_DECIDING: Final[frozenset[type[cst.CSTNode]]] = frozenset((cst.With, cst.Lambda, cst.FunctionDef))
# Decorators that run the function as it is written, without a word about gradients.
_PLAIN: Final = words(
    "builtins.staticmethod builtins.classmethod builtins.property functools.lru_cache functools.cache"
    " functools.cached_property abc.abstractmethod typing.override typing.no_type_check torch.autocast"
    " torch.amp.autocast torch.cuda.amp.autocast torch.compile"
)


class Mode(str, Enum):
    """Whether autograd records at a place."""

    ON = "on"  # nothing in the file says otherwise
    OFF = "off"
    UNKNOWN = "unknown"  # an unknown decorator or context, a switch with a computed value


class GradMode:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, calls: LocalCalls) -> None:
        self._tree, self._names, self._calls = tree, names, calls

    def at(self, node: cst.CSTNode) -> Mode:
        """The mode in which a node is evaluated, as the file tells it.

        A caller decides where the function itself says nothing: OFF when every known call is made without gradients,
        UNKNOWN when some are. Callers in other files are not seen.
        """
        return _one(self._at(node, set()))

    def _at(self, node: cst.CSTNode, seen: set[cst.FunctionDef]) -> set[Mode]:
        """The modes in which a node may be evaluated; callers of functions in `seen` are in the answer already."""
        for above, child, _ in self._tree.climb(node, _DECIDING):
            if isinstance(above, cst.With) and child is above.body:
                told = self._of_contexts(above)
                if told is not None:
                    return {told}
            if isinstance(above, cst.Lambda):
                return {Mode.UNKNOWN}
            if isinstance(above, cst.FunctionDef) and child is above.body:
                switched = self._switched(above)
                told = switched if switched is not None else self._of_decorators(above)
                return {told} if told is not None else self._of_callers(above, seen)
        return {self._switched(None) or Mode.ON}

    def _of_contexts(self, around: cst.With) -> Mode | None:
        for item in reversed(around.items):
            told = self._of_call(item.item)
            if told is not None:
                return told
        return None

    def _of_call(self, expression: cst.BaseExpression) -> Mode | None:
        """What a context or decorator sets; None when it does not concern gradients."""
        if isinstance(expression, cst.IfExp):
            several = {self._of_call(expression.body), self._of_call(expression.orelse)}
            return several.pop() if len(several) == 1 else Mode.UNKNOWN
        call = expression if isinstance(expression, cst.Call) else None
        name = self._names.full_name(call.func if call is not None else expression)
        if name in _ON:
            return Mode.ON
        if name in _OFF:
            given = constant(call.args[0].value, self._names) if call is not None and call.args else True
            return Mode.OFF if given is True else Mode.UNKNOWN if given is UNKNOWN else Mode.ON
        if name in _SET:
            given = constant(call.args[0].value, self._names) if call is not None and call.args else UNKNOWN
            return Mode.UNKNOWN if given is UNKNOWN else Mode.ON if given else Mode.OFF
        last = (name or "").rpartition(".")[2] or _last(call.func if call is not None else expression)
        return Mode.UNKNOWN if "grad" in last or "inference" in last or "eval" in last else None

    def _of_decorators(self, function: cst.FunctionDef) -> Mode | None:
        for each in function.decorators:
            told = self._of_call(each.decorator)
            if told is not None:
                return told
            named = each.decorator.func if isinstance(each.decorator, cst.Call) else each.decorator
            if self._names.full_name(named) not in _PLAIN:
                return Mode.UNKNOWN
        return None

    def _of_callers(self, function: cst.FunctionDef, seen: set[cst.FunctionDef]) -> set[Mode]:
        if function in seen:
            return set()
        seen.add(function)
        outer = [call for call in self._calls.possible_sites(function) if not self._is_within(call, function)]
        return {mode for call in outer for mode in self._at(call, seen)} if outer else {Mode.ON}

    def _is_within(self, node: cst.CSTNode, function: cst.FunctionDef) -> bool:
        return any(above is function for above in self._tree.ancestors(node))

    def _switched(self, function: cst.FunctionDef | None) -> Mode | None:
        """What calls of `set_grad_enabled` as statements set, in a function or at the module's level."""
        modes = {
            self._of_call(call)
            for call in self._switches
            if self._tree.enclosing(call, cst.FunctionDef) in (None, function)
        }
        if modes <= {Mode.ON}:
            return None
        return Mode.OFF if modes == {Mode.OFF} else Mode.UNKNOWN

    @cached_property
    def _switches(self) -> list[cst.Call]:
        calls = self._tree.nodes(cst.Call)
        set_by = [call for call in calls if self._names.full_name(call.func) in _SET]
        return [call for call in set_by if isinstance(self._tree.parent(call), cst.Expr)]


def _one(modes: set[Mode]) -> Mode:
    """The mode of all ways here; a circle of calls that nobody enters is none."""
    return next(iter(modes)) if len(modes) == 1 else Mode.UNKNOWN if modes else Mode.ON


def _last(expression: cst.BaseExpression) -> str:
    if isinstance(expression, cst.Attribute):
        return expression.attr.value
    return expression.value if isinstance(expression, cst.Name) else ""
