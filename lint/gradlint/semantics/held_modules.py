"""Modules that a class keeps in plain lists, tuples and dicts: what is in them, and whether it has parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.module_class import AttributeKind
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.walk import Tree

_PARAMETRIC: Final = re.compile(
    r"^torch\.nn\.(?:Lazy)?(?:Linear|Bilinear|Conv(?:Transpose)?\dd|BatchNorm\dd|SyncBatchNorm|LayerNorm|GroupNorm|"
    r"RMSNorm|(?:RNN|LSTM|GRU)(?:Cell)?|Embedding|EmbeddingBag|PReLU|MultiheadAttention|Transformer\w*)$"
)
_CONTAINERS: Final = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})
_LISTS: Final = frozenset({"builtins.list", "builtins.tuple", "builtins.reversed"})
_RETURNING: Final = words("to cuda cpu double half float bfloat16")  # give back the module they are asked of
_SWITCHES: Final = frozenset({"affine", "elementwise_affine"})
_ADDING: Final = {"append": 0, "insert": 1, "extend": 0}


class HeldModules:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes

    def has_parameters(self, value: cst.CSTNode | None, seen: frozenset[str] = frozenset()) -> bool:
        """Whether an expression surely makes a module with parameters."""
        if not isinstance(value, cst.Call):
            return False
        if isinstance(value.func, cst.Attribute) and value.func.attr.value in _RETURNING:
            return self.has_parameters(value.func.value, seen)
        name = self._names.full_name(value.func)
        if name in _CONTAINERS:
            return any(self._any(given.value, seen) for given in value.args)
        return name is not None and not _is_without_weights(value) and self._class_has(name, seen)

    def _any(self, value: cst.CSTNode, seen: frozenset[str]) -> bool:
        return self.has_parameters(value, seen) or any(
            self.has_parameters(element, seen) for element in self.elements(value) or ()
        )

    def _class_has(self, name: str, seen: frozenset[str]) -> bool:
        if _PARAMETRIC.match(name):
            return True
        if name in seen:
            return False
        within = seen | {name}
        owner = self._classes.named(name)
        if owner is None:
            return self._class_elsewhere_has(name, within)
        if not owner.is_module:
            return False
        if any(self._class_has(base, within) for base in owner.bases if base is not None):
            return True
        places = [place for found in owner.attributes.values() for place in found]
        return any(
            (place.kind is AttributeKind.PARAMETER and not _is_none(place.value))
            or (place.kind is AttributeKind.LAYER and self.has_parameters(place.value, within))
            for place in places
        )

    def _class_elsewhere_has(self, name: str, seen: frozenset[str]) -> bool:
        """Whether a module class of another file of the project makes parameters or layers that have them."""
        facts = self._classes.project.find_class(name)
        if facts is None or not self._classes.is_module(name):
            return False
        inside = (*facts.made, *(base for base in facts.bases if base is not None))
        return any(each == "torch.nn.Parameter" or self._class_has(each, seen) for each in inside)

    def elements(self, value: cst.CSTNode | None) -> list[cst.BaseExpression] | None:
        """What is in a list, tuple, dict or comprehension that is written out; None when it is none of these."""
        if isinstance(value, (cst.List, cst.Tuple)):
            return [element.value for element in value.elements if isinstance(element, cst.Element)]
        if isinstance(value, cst.Dict):
            return [element.value for element in value.elements if isinstance(element, cst.DictElement)]
        if isinstance(value, (cst.ListComp, cst.GeneratorExp)):
            return [value.elt]
        if isinstance(value, cst.DictComp):
            return [value.value]
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, (cst.Add, cst.Multiply)):
            sides = [self.elements(value.left), self.elements(value.right)]
            found = [one for side in sides if side is not None for one in side]
            return found if any(side is not None for side in sides) else None
        if isinstance(value, cst.Call) and self._names.full_name(value.func) in _LISTS and len(value.args) == 1:
            return self.elements(value.args[0].value)
        return None

    def added(self, calls: Iterable[cst.Call]) -> Iterator[cst.BaseExpression]:
        """What `append`, `insert` and `extend` add."""
        for call in calls:
            assert isinstance(call.func, cst.Attribute)
            index = _ADDING.get(call.func.attr.value)
            if index is not None and index < len(call.args):
                given = call.args[index].value
                yield from (self.elements(given) or ()) if call.func.attr.value == "extend" else (given,)

    def variable(self, value: cst.CSTNode | None) -> cst.Name | None:
        """`layers` of `layers`, `layers[::-1]` and `list(layers)`, a variable that is bound once."""
        if isinstance(value, cst.Subscript) and isinstance(value.slice[0].slice, cst.Slice):
            return self.variable(value.value)
        if isinstance(value, cst.Call) and self._names.full_name(value.func) in _LISTS and len(value.args) == 1:
            return self.variable(value.args[0].value)
        if not isinstance(value, cst.Name):
            return None
        binding = self._names.reference(value).binding
        return value if binding is not None and binding.kind is BindingKind.ASSIGNMENT else None


def _is_without_weights(call: cst.Call) -> bool:
    """Whether a normalisation is made without weights, or may be: `affine=False`, `elementwise_affine=flag`."""
    switches = [given for given in call.args if given.keyword is not None and given.keyword.value in _SWITCHES]
    return any(not (isinstance(given.value, cst.Name) and given.value.value == "True") for given in switches)


def _is_none(value: cst.CSTNode | None) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"
