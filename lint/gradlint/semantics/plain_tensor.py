"""Tensors that a class keeps as plain attributes: how each is made, and what the class's methods do with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.scopes import Binding
    from gradlint.semantics.module_class import ModuleClass
    from gradlint.walk import Tree

_FACTORIES: Final = frozenset(
    f"torch.{name}"
    for name in words(
        "zeros ones tensor arange linspace logspace eye rand randn randint randperm empty full FloatTensor Tensor"
        " LongTensor from_numpy hann_window hamming_window"
    )
)
_SHAPED: Final = (cst.List, cst.Tuple, cst.ListComp)
_MOVING: Final = words("to cuda cpu type_as npu xpu")
_ASKING: Final = words("shape size device dtype numel dim ndim item tolist numpy cpu detach_")
_NUMBERS: Final = words("int float bool str")
_HANDING: Final = re.compile(r"device|cuda|gpu|(?:^|_)to(?:_|$)")  # functions that move what they are given
_UPDATING: Final = words("add_ sub_ mul_ div_ lerp_ addcmul_ copy_ index_add_ scatter_ scatter_add_ clamp_")


class Use(str, Enum):
    """What a use of the attribute outside `__init__` does."""

    UPDATE = "update"  # a new value that depends on the old one
    REPLACE = "replace"  # another value
    MOVE = "move"  # the class takes care of the device itself
    COMPUTE = "compute"  # arithmetic of torch together with something else
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class TensorUse:
    """One use: `node` is the `self.x`, `method` where it stands."""

    kind: Use
    node: cst.Attribute
    method: cst.FunctionDef


class PlainTensors:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names) -> None:
        self._tree, self._names = tree, names

    def is_tensor(self, value: cst.CSTNode | None) -> bool:
        """Whether an expression surely makes a tensor with dimensions, on the default device."""
        if value is None or self._is_placed(value):
            return False
        return self._makes(value)

    def _is_placed(self, value: cst.CSTNode) -> bool:
        given = self._tree.below(value, cst.Arg)
        if any(each.keyword is not None and each.keyword.value == "device" for each in given):
            return True
        return any(each.attr.value in _MOVING for each in self._tree.below(value, cst.Attribute))

    def _makes(self, value: cst.CSTNode) -> bool:
        if isinstance(value, cst.BinaryOperation):
            return self._makes(value.left) or self._makes(value.right)
        if isinstance(value, cst.UnaryOperation):
            return self._makes(value.expression)
        if isinstance(value, cst.Subscript):
            return self._makes(value.value) and not all(
                isinstance(each.slice, cst.Index) and isinstance(each.slice.value, cst.Integer) for each in value.slice
            )
        if not isinstance(value, cst.Call):
            return False
        name = self._names.full_name(value.func)
        if name in _FACTORIES:
            return self._has_dimensions(name or "", value)
        if name is not None and name.startswith("torch.") and name.count(".") == 1 and name[6:].islower():
            first = value.args[0].value if value.args else None
            several = first.elements if isinstance(first, (cst.List, cst.Tuple)) else ()
            return (
                self._makes(first)
                if first is not None and not several
                else any(self._makes(element.value) for element in several)
            )
        is_method = isinstance(value.func, cst.Attribute) and value.func.attr.value not in _ASKING
        shrinks = isinstance(value.func, cst.Attribute) and value.func.attr.value in (
            "sum",
            "mean",
            "max",
            "min",
            "prod",
        )
        return is_method and not (shrinks and not value.args) and self._makes(value.func.value)  # type: ignore[attr-defined]

    @staticmethod
    def _has_dimensions(name: str, call: cst.Call) -> bool:
        first = call.args[0].value if call.args and not call.args[0].star else None
        if name in ("torch.tensor", "torch.FloatTensor", "torch.LongTensor", "torch.Tensor"):
            return isinstance(first, _SHAPED)
        empty = isinstance(first, (cst.List, cst.Tuple)) and not first.elements
        return first is not None and not empty

    def uses(self, owner: ModuleClass, attribute: str) -> list[TensorUse]:
        """The uses of `self.x` in the methods of a class, without `__init__` and what only `__init__` calls."""
        found: list[TensorUse] = []
        building = self._building(owner)
        for name, method in owner.methods.items():
            if name in building:
                continue
            found += [
                TensorUse(self._kind(node), node, method)
                for node in self._tree.below(method.body, cst.Attribute)
                if self._names.self_attribute(node) == attribute
            ]
        return found

    def _building(self, owner: ModuleClass) -> set[str]:
        """`__init__` and the methods it calls."""
        found, waiting = set(), ["__init__"]
        while waiting:
            name = waiting.pop()
            if name in found or name not in owner.methods or name == "forward":
                continue
            found.add(name)
            for node in self._tree.walk(owner.methods[name].body):
                called = self._names.self_attribute(node.func) if isinstance(node, cst.Call) else None
                waiting += [called] if called else []
        return found

    def _kind(self, node: cst.Attribute) -> Use:
        top, moved, asked, method = self._chain(node)
        if moved:
            return Use.MOVE
        statement = self._tree.enclosing(node, cst.Assign, cst.AugAssign)
        if isinstance(statement, cst.AugAssign) and statement.target is top:
            return Use.UPDATE
        if isinstance(statement, cst.Assign) and self._is_target(top, statement):
            return self._assigned(node, statement)
        if method in _UPDATING:
            return Use.UPDATE
        return Use.COMPUTE if not asked and self._computes(top) else Use.OTHER

    def _chain(self, node: cst.Attribute) -> tuple[cst.CSTNode, bool, bool, str | None]:
        """The largest expression that begins with the attribute, and what its methods say."""
        top: cst.CSTNode = node
        moved = asked = False
        method: str | None = None
        while True:
            above = self._tree.parent(top)
            if isinstance(above, cst.Attribute) and above.value is top:
                moved = moved or above.attr.value in _MOVING
                asked = asked or above.attr.value in _ASKING
                method = method or above.attr.value
            elif not (
                (isinstance(above, cst.Call) and above.func is top)
                or (isinstance(above, cst.Subscript) and above.value is top)
            ):
                return top, moved, asked, method
            top = above

    @staticmethod
    def _is_target(top: cst.CSTNode, statement: cst.Assign) -> bool:
        for target in statement.targets:
            several = target.target.elements if isinstance(target.target, (cst.Tuple, cst.List)) else ()
            if top is target.target or any(element.value is top for element in several):
                return True
        return False

    def _assigned(self, node: cst.Attribute, statement: cst.Assign) -> Use:
        again = [
            each
            for each in self._tree.below(statement.value, cst.Attribute)
            if self._names.self_attribute(each) == node.attr.value
        ]
        if any(self._chain(each)[1] for each in again):
            return Use.MOVE
        called = statement.value.func if isinstance(statement.value, cst.Call) else None
        if again and isinstance(called, (cst.Name, cst.Attribute)) and _HANDING.search(_last_name(called)):
            return Use.MOVE
        from_layer = called is not None and self._names.self_attribute(called) is not None
        return Use.UPDATE if again and not from_layer else Use.REPLACE

    def _computes(self, top: cst.CSTNode) -> bool:
        """Whether an operation of torch takes the value together with something that is no literal or attribute."""
        above = self._tree.parent(top)
        for around in self._tree.ancestors(top):
            if isinstance(around, cst.Attribute) and around.attr.value in _MOVING:
                return False
            if isinstance(around, (cst.BaseSmallStatement, cst.BaseCompoundStatement)):
                break
        if isinstance(above, cst.BinaryOperation):
            other = above.right if above.left is top else above.left
            return self._is_foreign(other)
        if isinstance(above, cst.Arg):
            call = self._tree.parent(above)
            name = self._names.full_name(call.func) if isinstance(call, cst.Call) else None
            computing = name is not None and name.startswith(("torch.nn.functional.", "torch.")) and name[6:7].islower()
            others = [given.value for given in call.args if given is not above] if isinstance(call, cst.Call) else []
            return computing and any(map(self._is_foreign, others))
        return False

    def _is_foreign(self, other: cst.CSTNode) -> bool:
        """Whether it is a value of the method, the input or what was computed from it, and no number."""
        if isinstance(other, cst.BinaryOperation):
            return self._is_foreign(other.left) or self._is_foreign(other.right)
        root: cst.CSTNode = other
        while isinstance(root, (cst.Attribute, cst.Subscript, cst.Call)):
            if isinstance(root, cst.Attribute) and root.attr.value in _ASKING:
                return False
            root = root.func if isinstance(root, cst.Call) else root.value
        reference = self._names.reference(root) if isinstance(root, cst.Name) else None
        if reference is None or reference.scope is None or reference.is_module_level:
            return False
        return self._names.self_class(root) is None and all(map(self._may_be_tensor, reference.bindings))

    def _may_be_tensor(self, binding: Binding) -> bool:
        if binding.kind is BindingKind.PARAMETER and isinstance(binding.node, cst.Param):
            told = binding.node.annotation
            number = isinstance(told.annotation, cst.Name) and told.annotation.value in _NUMBERS if told else False
            return not number and not isinstance(binding.node.default, (cst.Integer, cst.Float))
        counted = binding.kind is BindingKind.LOOP
        asked = isinstance(binding.value, (cst.Call, cst.Attribute, cst.Subscript)) and any(
            isinstance(node, cst.Attribute) and node.attr.value in _ASKING for node in self._tree.walk(binding.value)
        )
        return not counted and not asked and binding.kind is not BindingKind.IMPORT


def _last_name(function: cst.Name | cst.Attribute) -> str:
    return function.attr.value if isinstance(function, cst.Attribute) else function.value
