"""Where a value was made: the expressions behind a variable, an attribute of `self` or a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.scopes import Binding
    from gradlint.semantics.local_calls import LocalCalls
    from gradlint.semantics.module_class import Attribute, ModuleClasses

# What gives back the module or optimizer it was asked of, and what wraps one.
_RETURNING: Final = words("cuda cpu to float half double eval train requires_grad_ bfloat16 xpu share_memory")
_WRAPPING: Final = words(
    "torch.nn.DataParallel torch.nn.parallel.DataParallel torch.nn.parallel.DistributedDataParallel torch.compile"
    " torch.nn.parallel.distributed.DistributedDataParallel torch.jit.script"
)
_DEEPEST: Final = 8

Expressions = tuple[cst.BaseExpression, ...]
Seen = set["Binding | Attribute"]


class Origins:
    """Answers for one file."""

    def __init__(self, names: Names, classes: ModuleClasses, calls: LocalCalls) -> None:
        self._names, self._classes, self._calls = names, classes, calls
        self._known: dict[cst.CSTNode, Expressions] = {}

    def of(self, expression: cst.BaseExpression | None) -> Expressions:
        """The expressions, mostly calls, that may have made a value; empty where one of them cannot be known.

        A parameter is what the calls of this file give it. `None` beside another value does not count.
        """
        if expression is None:
            return ()
        if expression not in self._known:
            found = self._of(expression, 0, set())
            self._known[expression] = () if found is None else tuple(dict.fromkeys(found))
        return self._known[expression]

    def made_by(self, expression: cst.BaseExpression | None) -> str | None:
        """The full name of what constructs a value, where all its origins agree."""
        made = {self._classes.constructed(each) for each in self.of(expression)}
        return made.pop() if len(made) == 1 else None

    def _of(self, expression: cst.BaseExpression | None, depth: int, seen: Seen) -> Expressions | None:
        """The origins but those of bindings in `seen`, which are part of the answer already; None when unknown."""
        if expression is None or depth > _DEEPEST:
            return None
        if isinstance(expression, cst.Name):
            bindings = self._names.reference(expression).bindings
            real = [each for each in bindings if not _is_none(each.value)]
            return self._all([self._bound(each, depth, seen) for each in real])
        if isinstance(expression, cst.Attribute):
            return self._attribute(expression, depth, seen)
        if isinstance(expression, cst.Call):
            function = expression.func
            if isinstance(function, cst.Attribute) and function.attr.value in _RETURNING:
                return self._of(function.value, depth + 1, seen)
            if self._names.full_name(function) in _WRAPPING and expression.args:
                return self._of(expression.args[0].value, depth + 1, seen)
            return (expression,)
        if isinstance(expression, cst.IfExp):
            several = [each for each in (expression.body, expression.orelse) if not _is_none(each)]
            return self._all([self._of(each, depth + 1, seen) for each in several])
        return (expression,)

    def _bound(self, binding: Binding, depth: int, seen: Seen) -> Expressions | None:
        if binding in seen:
            return ()
        seen.add(binding)
        if binding.kind is BindingKind.ASSIGNMENT:
            own = isinstance(binding.value, cst.Call) and _is_of_itself(binding.value, binding.name)
            return () if own else self._of(binding.value, depth + 1, seen)
        if binding.kind is not BindingKind.PARAMETER or not isinstance(binding.scope.node, cst.FunctionDef):
            return None
        function = binding.scope.node
        sites = self._calls.sites(function)
        given = [self._calls.arguments(call, function).get(binding.name) for call in sites]
        real = [each for each in given if each is not None and not _is_none(each)]
        return self._all([self._of(each, depth + 1, seen) for each in real]) if len(real) == len(sites) else None

    def _attribute(self, expression: cst.Attribute, depth: int, seen: Seen) -> Expressions | None:
        if (self._names.full_name(expression) or "").startswith("torch."):
            return (expression,)  # a function of torch, handed on as a value
        name = self._names.self_attribute(expression)
        owner = self._classes.enclosing(expression) if name is not None else None
        lineage = self._classes.lineage(owner) if owner is not None else []
        places = next((one.attributes[name] for one in lineage if name in one.attributes), [])
        real = [place for place in places if not _is_none(place.value)]
        return self._all([self._place(place, depth, seen) for place in real])

    def _place(self, place: Attribute, depth: int, seen: Seen) -> Expressions | None:
        if place in seen:
            return ()
        seen.add(place)
        return self._of(place.value, depth + 1, seen)

    @staticmethod
    def _all(several: list[Expressions | None]) -> Expressions | None:
        known = [each for each in several if each is not None]
        return tuple(item for each in known for item in each) if known and len(known) == len(several) else None


def _is_none(value: cst.CSTNode | None) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"


def _is_of_itself(call: cst.Call, name: str) -> bool:
    """`model = model.cuda()` and `model = DataParallel(model)` add nothing."""
    function = call.func
    if isinstance(function, cst.Attribute) and function.attr.value in _RETURNING:
        return isinstance(function.value, cst.Name) and function.value.value == name
    return bool(call.args) and isinstance(call.args[0].value, cst.Name) and call.args[0].value.value == name
