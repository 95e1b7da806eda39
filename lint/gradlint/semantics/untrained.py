"""Values that come from nothing trained: numbers, options, buffers, grids, and what is computed of these alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import UNKNOWN, constant
from gradlint.scopes import BindingKind
from gradlint.semantics.graph_ends import ENDING
from gradlint.semantics.module_class import AttributeKind
from gradlint.walk import children
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradlint.names import Names
    from gradlint.scopes import Binding
    from gradlint.semantics.module_class import Attribute, ModuleClasses
    from gradlint.walk import Tree

_FACTORIES: Final = frozenset(
    f"torch.{name}"
    for name in words(
        "arange bartlett_window blackman_window empty empty_like eye from_numpy full full_like hamming_window"
        " hann_window kaiser_window linspace logspace normal ones ones_like rand rand_like randint randint_like randn"
        " randn_like randperm range tensor tril_indices triu_indices zeros zeros_like"
    )
)
_NUMBERS: Final = words(
    "builtins.bool builtins.float builtins.int builtins.len builtins.range builtins.round builtins.str"
)
_OF_NUMBERS: Final = words(
    "builtins.abs builtins.enumerate builtins.list builtins.max builtins.min builtins.pow builtins.reversed"
    " builtins.sorted builtins.sum builtins.tuple builtins.zip"
)
_COUNTING: Final = words("dim item nelement ndim numel shape size")  # of what ends a graph, the numbers
# Methods of which only the receiver matters: their arguments are shapes, axes, devices and types.
_SHAPING: Final = words(
    "chunk clone contiguous cpu cuda double expand expand_as flatten flip float gather half index_select mean movedim"
    " narrow norm permute pow repeat repeat_interleave reshape roll select split square squeeze sum swapaxes t to"
    " transpose type type_as unbind unfold unsqueeze view view_as"
)
_PLAIN_KEYWORDS: Final = words("device dim dtype indexing keepdim layout out size")
_TOLD: Final = words("builtins.bool builtins.float builtins.int builtins.str numpy.ndarray")
# Attributes of a tensor that are the tensor, seen otherwise.
_VIEWS: Final = words("H T imag mH mT real")
_GROWING: Final = words("add append appendleft extend insert setdefault update")
_MOST: Final = 200  # expressions that are followed for one answer
_DEEPEST: Final = 12  # variables that are followed into each other


class Untrained:
    """Answers for one file; false where it cannot be known."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes

    def holds(self, value: cst.CSTNode | None) -> bool:
        """Whether a value surely has no graph, because nothing it is computed from has one."""
        return self._holds(value, set(), tensors=True)

    def is_number(self, value: cst.CSTNode | None) -> bool:
        """Whether a value surely is a number: a literal, an option of the class or function, arithmetic of these."""
        return self._holds(value, set(), tensors=False)

    def _holds(self, value: cst.CSTNode | None, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        """What is in `seen` was asked on the way here: it adds nothing."""
        if value is None or len(seen) > _MOST:
            return False
        if value in seen:
            return True
        seen.add(value)
        if isinstance(value, (cst.BaseNumber, cst.BaseString, cst.Comparison)):
            return True
        if isinstance(value, cst.Name):
            return self._is_free_name(value, seen, tensors=tensors)
        if isinstance(value, cst.Attribute):
            return self._is_free_attribute(value, seen, tensors=tensors)
        if isinstance(value, cst.Call):
            return self._is_free_call(value, seen, tensors=tensors)
        parts = _parts(value)
        return bool(parts) and self._all(parts, seen, tensors=tensors)

    def _all(self, several: Iterable[cst.CSTNode], seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        return all(self._holds(each, seen, tensors=tensors) for each in several)

    def _is_free_name(self, name: cst.Name, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        if constant(name, self._names) is not UNKNOWN or name.value in ("None", "True", "False"):
            return True
        if (self._names.full_name(name) or "").startswith(("math.", "numpy.")):
            return True
        bindings = self._names.reference(name).bindings
        if not all(self._is_free_binding(each, seen, tensors=tensors) for each in bindings):
            return False
        return bool(bindings) and self._is_untouched(name, seen, tensors=tensors)

    def _is_free_binding(self, binding: Binding, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        if binding.node in seen:
            return True
        seen.add(binding.node)
        if binding.kind is BindingKind.PARAMETER:
            return self._is_number_parameter(binding.node, tensors=tensors)
        if binding.kind in (BindingKind.ASSIGNMENT, BindingKind.LOOP) and binding.value is not None:
            return self._holds(binding.value, seen, tensors=tensors)
        if binding.kind not in (BindingKind.AUGMENTED, BindingKind.UNPACKING, BindingKind.LOOP):
            return False
        above = self._tree.enclosing(binding.node, cst.Assign, cst.AugAssign, cst.For, cst.CompFor)
        if isinstance(above, (cst.For, cst.CompFor)):
            return self._holds(above.iter, seen, tensors=tensors)
        value = above.value if isinstance(above, (cst.Assign, cst.AugAssign)) else None
        return self._holds(value, seen, tensors=tensors)

    def _is_number_parameter(self, node: cst.CSTNode, *, tensors: bool) -> bool:
        """By its annotation or its default, or as an option of a class: what `__init__` is given."""
        if not isinstance(node, cst.Param):
            return False
        function = self._tree.enclosing(node, cst.FunctionDef, cst.Lambda)
        if isinstance(function, cst.FunctionDef) and function.name.value == "__init__":
            return True
        if node.annotation is not None:
            told = self._names.full_name(node.annotation.annotation)
            return told in _TOLD and (tensors or told != "numpy.ndarray")
        return isinstance(node.default, cst.BaseNumber) or isinstance(constant(node.default, self._names), (bool, str))

    def _is_untouched(self, name: cst.Name, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        """Whether nothing with a graph is put into a variable, and it is not made one that is trained."""
        scope = self._names.reference(name).scope
        used = [one for one in self._tree.named(name.value) if self._names.reference(one).scope is scope]
        put = [value for one in used for value in self._put_into(one)]
        return None not in put and self._all([value for value in put if value is not None], seen, tensors=tensors)

    def _put_into(self, used: cst.Name) -> Iterator[cst.BaseExpression | None]:
        """What one use writes: `grid[0] = x`, `grid.data = x`, `grid.view(-1).copy_(x)`, `parts.append(x)`.

        None stands for a graph: `grid.requires_grad_()`.
        """
        child: cst.CSTNode = used
        above = self._tree.parent(used)
        while isinstance(above, (cst.Attribute, cst.Subscript, cst.Call)) and children(above)[0] is child:
            if isinstance(above, cst.Call):
                yield from _put_by(above)
            elif (value := self._written(above)) is not None:
                yield None if _is_switch(above) and not _is_false(value) else value
            child, above = above, self._tree.parent(above)
        call = self._tree.parent(above) if isinstance(above, cst.Arg) else None
        if isinstance(call, cst.Call) and isinstance(above, cst.Arg) and above.value is child and _is_output(above):
            yield from (given.value for given in call.args if given is not above)

    def _written(self, place: cst.Attribute | cst.Subscript) -> cst.BaseExpression | None:
        above = self._tree.parent(place)
        if isinstance(above, cst.AugAssign):
            return above.value if above.target is place else None
        assign = self._tree.parent(above) if isinstance(above, cst.AssignTarget) else None
        return assign.value if isinstance(assign, cst.Assign) else None

    def _is_free_attribute(self, value: cst.Attribute, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        full = self._names.full_name(value)
        if full is not None and full.startswith(("math.", "numpy.")):
            return True
        name = self._names.self_attribute(value)
        owner = self._classes.enclosing(value) if name is not None else None
        if name is None or owner is None:
            if value.attr.value in (ENDING if tensors else _COUNTING):
                return True
            given = value.attr.value not in _VIEWS and self._is_option(value.value)
            return not given and self._holds(value.value, seen, tensors=tensors)
        places = next((one.attributes[name] for one in self._classes.lineage(owner) if name in one.attributes), [])
        return bool(places) and all(self._is_free_place(place, seen, tensors=tensors) for place in places)

    def _is_free_place(self, place: Attribute, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        """Whether `self.x` is a buffer, or what nothing trained goes into."""
        if place.kind is AttributeKind.BUFFER:
            return tensors
        if place.kind in (AttributeKind.LAYER, AttributeKind.PARAMETER):
            return False
        return self._holds(place.value, seen, tensors=tensors)

    def _is_option(self, value: cst.CSTNode, depth: int = 0) -> bool:
        """Whether a value is what `__init__` is given: a number where it is used as one, but perhaps a module."""
        while isinstance(value, cst.Subscript):
            value = value.value
        if depth > _DEEPEST:
            return False
        name = self._names.self_attribute(value)
        owner = self._classes.enclosing(value) if name is not None else None
        if name is not None and owner is not None:
            places = (place for one in self._classes.lineage(owner) for place in one.attributes.get(name, []))
            return any(place.value is not None and self._is_option(place.value, depth + 1) for place in places)
        bindings = self._names.reference(value).bindings if isinstance(value, cst.Name) else ()
        return any(self._binds_option(binding, depth) for binding in bindings)

    def _binds_option(self, binding: Binding, depth: int) -> bool:
        if binding.kind is BindingKind.PARAMETER:
            function = self._tree.enclosing(binding.node, cst.FunctionDef, cst.Lambda)
            is_init = isinstance(function, cst.FunctionDef) and function.name.value == "__init__"
            told = binding.node.annotation if isinstance(binding.node, cst.Param) else None
            return is_init and (told is None or self._names.full_name(told.annotation) not in _TOLD)
        above = self._tree.enclosing(binding.node, cst.For, cst.CompFor) if binding.value is None else None
        value = above.iter if isinstance(above, (cst.For, cst.CompFor)) else binding.value
        return value is not None and self._is_option(value, depth + 1)

    def _is_free_call(self, call: cst.Call, seen: set[cst.CSTNode], *, tensors: bool) -> bool:
        name = self._names.full_name(call.func)
        if name in _FACTORIES:
            return tensors and not any(_switches_on(given) for given in call.args)
        if name in _NUMBERS or (name or "").startswith("math."):
            return True
        if (name or "").startswith("numpy."):
            return tensors
        given = [each.value for each in call.args if _counts(each)]
        if name is not None:
            module, _, short = name.rpartition(".")
            plain = module in ("torch", "torch.special", "torch.nn.functional", "torch.linalg") and short.islower()
            of_numbers = name in _OF_NUMBERS
            return ((plain and tensors) or of_numbers) and bool(given) and self._all(given, seen, tensors=tensors)
        if not isinstance(call.func, cst.Attribute) or self._names.self_attribute(call.func) is not None:
            return False
        method = call.func.attr.value
        if method in ENDING:
            return tensors or method in _COUNTING
        if method not in _SHAPING and (self._is_option(call.func.value) or not self._all(given, seen, tensors=tensors)):
            return False
        return tensors and self._holds(call.func.value, seen, tensors=tensors)


def _parts(value: cst.CSTNode) -> list[cst.CSTNode]:
    """The values that an expression is computed from."""
    if isinstance(value, (cst.BinaryOperation, cst.BooleanOperation)):
        return [value.left, value.right]
    if isinstance(value, cst.UnaryOperation):
        return [value.expression]
    if isinstance(value, cst.Subscript):
        return [value.value]
    if isinstance(value, cst.IfExp):
        return [value.body, value.orelse]
    if isinstance(value, (cst.List, cst.Tuple)):
        return [element.value for element in value.elements]
    return [value.elt] if isinstance(value, (cst.ListComp, cst.GeneratorExp)) else []


def _put_by(call: cst.Call) -> Iterator[cst.BaseExpression | None]:
    """What a method puts into its receiver: the arguments of what works in place, or makes a list longer."""
    method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
    if method == "requires_grad_":
        if not (call.args and _is_false(call.args[0].value)):
            yield None
    elif method in _GROWING or (method.endswith("_") and not method.startswith("_")):
        yield from (given.value for given in call.args)


def _is_output(given: cst.Arg) -> bool:
    return given.keyword is not None and given.keyword.value == "out"


def _is_switch(place: cst.Attribute | cst.Subscript) -> bool:
    return isinstance(place, cst.Attribute) and place.attr.value == "requires_grad"


def _is_false(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Name) and value.value == "False"


def _counts(given: cst.Arg) -> bool:
    return given.keyword is None or given.keyword.value not in _PLAIN_KEYWORDS


def _switches_on(given: cst.Arg) -> bool:
    named = given.keyword is not None and given.keyword.value == "requires_grad"
    return named and not _is_false(given.value)
