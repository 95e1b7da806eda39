"""Graph provenance: whether a value surely carries an autograd graph, or surely none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.graph_ends import ENDING, ENDING_FUNCTIONS
from gradlint.semantics.reaching import reaching_value

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.scopes import Binding
    from gradlint.semantics.grad_mode import GradMode
    from gradlint.semantics.losses import Losses
    from gradlint.semantics.module_class import ModuleClasses
    from gradlint.semantics.receivers import Receivers
    from gradlint.walk import Tree

_MOST: Final = 300  # expressions that are followed for one answer


class GraphValues:
    """Answers for one file. `carries` and `is_free` are both false where it cannot be known."""

    def __init__(
        self, tree: Tree, names: Names, classes: ModuleClasses, receivers: Receivers, losses: Losses, mode: GradMode
    ) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self._receivers, self._losses, self._mode = receivers, losses, mode
        self._known: dict[cst.CSTNode, bool] = {}

    def is_free(self, value: cst.CSTNode | None) -> bool:
        """Whether a value surely has no graph: `.item()`, `.detach()`, a number, a factory's tensor."""
        if isinstance(value, (cst.BaseNumber, cst.BaseString, cst.Comparison)):
            return True
        if isinstance(value, cst.Call):
            if self._names.full_name(value.func) in ENDING_FUNCTIONS:
                return True
            return isinstance(value.func, cst.Attribute) and self._ends(value.func)
        if isinstance(value, cst.Attribute):
            return value.attr.value in ENDING
        if isinstance(value, cst.BinaryOperation):
            return self.is_free(value.left) and self.is_free(value.right)
        return isinstance(value, cst.UnaryOperation) and self.is_free(value.expression)

    def _ends(self, method: cst.Attribute) -> bool:
        if method.attr.value in ENDING:
            return True
        return method.attr.value in ("cpu", "clone", "mean", "sum", "to", "float") and self.is_free(method.value)

    def carries(self, value: cst.CSTNode | None) -> bool:
        """Whether a value surely carries a graph where it is written."""
        if value is None:
            return False
        if value not in self._known:
            self._known[value] = self._carries(value, set()) and self._mode.at(value) is Mode.ON
        return self._known[value]

    def _carries(self, value: cst.CSTNode, seen: set[cst.CSTNode]) -> bool:
        """What is in `seen` was asked on the way here: it adds nothing."""
        if value in seen or len(seen) > _MOST or self.is_free(value):
            return False
        seen.add(value)
        if isinstance(value, cst.Name):
            return self._variable(value, seen)
        if isinstance(value, cst.BinaryOperation):
            return self._carries(value.left, seen) or self._carries(value.right, seen)
        if isinstance(value, cst.UnaryOperation):
            return self._carries(value.expression, seen)
        if isinstance(value, cst.Subscript):
            return self._carries(value.value, seen)
        if isinstance(value, cst.Call):
            return self._call(value, seen)
        return self._is_parameter(value)

    def _call(self, call: cst.Call, seen: set[cst.CSTNode]) -> bool:
        if self._mode.at(call) is not Mode.ON:
            return False  # `with torch.no_grad(): y = net(x)`, whatever is computed of `y` outside
        if self._receivers.is_module(call.func) and not self._is_plain(call.func):
            return True
        values = [given.value for given in call.args if not given.star]
        name = self._names.full_name(call.func) or ""
        loss = self._losses.of(call)
        if loss is not None or name.startswith("torch."):
            several = [item for value in values for item in _items(value)]
            return any(self._carries(value, seen) for value in several)
        if isinstance(call.func, cst.Attribute):
            return self._carries(call.func.value, seen)
        return False

    def _is_plain(self, module: cst.BaseExpression) -> bool:
        """Whether the module holds no parameters that its name could tell: `nn.ReLU()`."""
        binding = self._names.reference(module).binding if isinstance(module, cst.Name) else None
        made = self._classes.constructed(binding.value) if binding is not None else None
        return made is not None and made.startswith("torch.nn.") and not made.endswith(_WITH_PARAMETERS)

    def _variable(self, name: cst.Name, seen: set[cst.CSTNode]) -> bool:
        if self._is_differentiated(name):
            return True
        value = reaching_value(name, self._tree, self._names)
        if value is not None:
            return self._carries(value, seen)
        bindings = self._names.reference(name).bindings
        told = [each for each in bindings if each.kind in (BindingKind.ASSIGNMENT, BindingKind.AUGMENTED)]
        return bool(told) and len(told) == len(bindings) and all(self._binds(each, name, seen) for each in told)

    def _binds(self, binding: Binding, name: cst.Name, seen: set[cst.CSTNode]) -> bool:
        above = self._tree.parent(binding.node)
        value = above.value if isinstance(above, cst.AugAssign) else binding.value
        return value is not None and value is not name and self._carries(value, seen)

    def _is_differentiated(self, name: cst.Name) -> bool:
        """Whether the function calls `backward()` of that variable: it must carry a graph then."""
        scope = self._names.scopes.of(name)
        return any(self._names.scopes.of(each) is scope for each in self._differentiated.get(name.value, ()))

    @cached_property
    def _differentiated(self) -> dict[str, list[cst.Name]]:
        found: dict[str, list[cst.Name]] = {}
        for call in self._tree.nodes(cst.Call):
            method = call.func if isinstance(call.func, cst.Attribute) else None
            if method is not None and method.attr.value == "backward" and isinstance(method.value, cst.Name):
                found.setdefault(method.value.value, []).append(method.value)
        return found

    def _is_parameter(self, value: cst.CSTNode) -> bool:
        name = self._names.self_attribute(value)
        owner = self._classes.enclosing(value) if name is not None else None
        places = owner.attributes.get(name or "", []) if owner is not None else []
        return bool(places) and all(place.kind.value == "parameter" for place in places)


_WITH_PARAMETERS: Final = (
    *("Linear", "Bilinear", "Sequential", "LSTM", "GRU", "RNN", "Embedding", "LSTMCell", "GRUCell", "RNNCell"),
    *("Conv1d", "Conv2d", "Conv3d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LayerNorm", "GroupNorm"),
    *("Transformer", "TransformerEncoder", "TransformerDecoder", "MultiheadAttention", "ModuleList"),
)


def _items(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(value, (cst.List, cst.Tuple)):
        return [element.value for element in value.elements]
    return [value]
