"""Initialisation: the `torch.nn.init` calls of a file, the functions made of them, and what those are applied to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.layer_values import argument
from gradlint.semantics.type_tests import TypeTests
from gradlint.walk import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses

InitFunctionNode = cst.FunctionDef | cst.Lambda
_INIT = "torch.nn.init."
WALKING = frozenset({"modules", "named_modules", "children", "named_children"})
_IN_PLACE = frozenset({"normal_", "uniform_", "fill_", "zero_"})
_WALKED: Final[frozenset[type[cst.CSTNode]]] = frozenset((cst.FunctionDef, cst.Lambda, cst.For))


class Subject(str, Enum):
    """Whose tensor an init call fills."""

    PARAMETER = "parameter"  # of the init function: `m.weight` in `def init(m)`
    EACH_MODULE = "each module"  # `m.weight` in `for m in self.modules()`
    SELF = "self"  # `self.fc.weight`, `self.weight`
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class Handover:
    """A call that hands a module to an init function of another file: `net.apply(init)`, `init(net)`."""

    node: cst.Call
    module: cst.BaseExpression
    function: str


@dataclass(frozen=True, eq=False)
class InitCall:
    """One call of a `torch.nn.init` function, or of a tensor method that fills in place (`m.weight.data.normal_()`).

    `scheme` is its short name (`xavier_uniform_`, `normal_`), `tensor` the expression it fills, `attribute` its last
    name (`weight`, `bias`), `subject` whose it is, `root` the name the expression begins with. `types` are those that
    the tests around the call allow (empty: no test; None in it: unknown), `function` what it stands in. `given` is how
    a call of another file gets a module of this one.
    """

    node: cst.Call
    scheme: str
    tensor: cst.BaseExpression | None
    attribute: str | None
    root: cst.Name | None
    subject: Subject
    types: frozenset[str | None]
    function: InitFunctionNode | None
    given: Handover | None = None

    @property
    def place(self) -> cst.Call:
        """Where a violation about it stands in this file."""
        return self.node if self.given is None else self.given.node

    @property
    def origin(self) -> str:
        """Words about where it stands, for a message; empty for a call of this file."""
        return "" if self.given is None else f" (in `{self.given.function}`)"

    def argument(self, index: int, keyword: str) -> cst.BaseExpression | None:
        """An argument of the call; the tensor has index 0."""
        return argument(self.node, index - self.is_method, keyword)

    @property
    def is_method(self) -> bool:
        """Whether it is a method of the tensor."""
        return self.scheme in _IN_PLACE and self.tensor is getattr(self.node.func, "value", None)


@dataclass(frozen=True, eq=False)
class Application:
    """One `receiver.apply(function)`; `owner` is the class when the receiver is `self`."""

    node: cst.Call
    receiver: cst.BaseExpression
    owner: ModuleClass | None


@dataclass(frozen=True, eq=False)
class InitFunction:
    """A function or lambda that initialises a module given to it.

    `parameter` is the one that stands for the module (the first but `self`); `applied` the places that apply it.
    """

    node: InitFunctionNode
    parameter: cst.Param | None
    calls: tuple[InitCall, ...]
    applied: tuple[Application, ...]


class InitFunctions:
    """Initialisation in one file, in text order."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self.applications: Mapping[InitFunctionNode, list[Application]] = self._find_applications()
        self.calls: tuple[InitCall, ...] = tuple(
            self._describe(call, *found) for call in tree.nodes(cst.Call) if (found := self._filled(call))
        )
        self.functions: tuple[InitFunction, ...] = tuple(map(self._function, self._init_functions()))

    def _init_functions(self) -> list[InitFunctionNode]:
        holding = [call.function for call in self.calls if call.function is not None]
        applied = [node for node in self.applications if any(call.function is node for call in self.calls)]
        return list(dict.fromkeys([*holding, *applied]))

    def _function(self, node: InitFunctionNode) -> InitFunction:
        calls = tuple(call for call in self.calls if call.function is node)
        return InitFunction(node, self.module_parameter(node), calls, tuple(self.applications.get(node, ())))

    def module_parameter(self, node: InitFunctionNode) -> cst.Param | None:
        """The parameter of a function that stands for the module: the first, but not a method's `self`."""
        positional = [*node.params.posonly_params, *node.params.params]
        is_method = isinstance(node, cst.FunctionDef) and isinstance(self._names.scopes.of(node).node, cst.ClassDef)
        if is_method and not self._is_static(node):
            positional = positional[1:]
        return positional[0] if positional else None

    def _is_static(self, node: InitFunctionNode) -> bool:
        decorators = node.decorators if isinstance(node, cst.FunctionDef) else ()
        return any(self._names.full_name(each.decorator) == "builtins.staticmethod" for each in decorators)

    def _filled(self, call: cst.Call) -> tuple[str, cst.BaseExpression | None] | None:
        """The scheme and the tensor of an init call."""
        name = self._names.full_name(call.func)
        if name and name.startswith(_INIT):
            return name[len(_INIT) :], argument(call, 0, "tensor")
        if type(call.func) is not cst.Attribute or call.func.attr.value not in _IN_PLACE:
            return None
        tensor = call.func.value
        filled = isinstance(tensor, cst.Attribute) and tensor.attr.value in ("data", "weight", "bias")
        return (call.func.attr.value, tensor) if filled and _root(tensor)[1] != "grad" else None

    def _describe(self, call: cst.Call, scheme: str, tensor: cst.BaseExpression | None) -> InitCall:
        function = self._tree.enclosing(call, cst.FunctionDef, cst.Lambda)
        assert function is None or isinstance(function, (cst.FunctionDef, cst.Lambda))
        root, attribute = _root(tensor)
        subject = self._subject(root, function)
        types = TypeTests(self._tree, self._names).around(call, root.value) if root is not None else frozenset()
        return InitCall(call, scheme, tensor, attribute, root, subject, types, function)

    def _subject(self, root: cst.Name | None, function: InitFunctionNode | None) -> Subject:
        if root is None:
            return Subject.OTHER
        if self._names.self_class(root) is not None:
            return Subject.SELF
        binding = self._names.reference(root).binding
        if function is not None and binding is not None and binding.node is self.module_parameter(function):
            return Subject.PARAMETER
        walked = walked_over(root, self._tree)
        by_module = isinstance(walked, cst.Call) and isinstance(walked.func, cst.Attribute)
        return Subject.EACH_MODULE if by_module and walked.func.attr.value in WALKING else Subject.OTHER  # type: ignore[union-attr]

    def _find_applications(self) -> dict[InitFunctionNode, list[Application]]:
        found: dict[InitFunctionNode, list[Application]] = {}
        for call in self._tree.nodes(cst.Call):
            function = call.func
            if not isinstance(function, cst.Attribute) or function.attr.value != "apply" or len(call.args) != 1:
                continue
            applied = self._applied_function(call.args[0].value)
            if applied is not None:
                owner_node = self._names.self_class(function.value)
                owner = self._classes.of(owner_node) if owner_node is not None else None
                found.setdefault(applied, []).append(Application(call, function.value, owner))
        return found

    def _applied_function(self, value: cst.BaseExpression) -> InitFunctionNode | None:
        if isinstance(value, cst.Lambda):
            return value
        if isinstance(value, cst.Call) and self._names.full_name(value.func) == "functools.partial" and value.args:
            return self._applied_function(value.args[0].value)
        method = self._names.self_attribute(value)
        if method is not None:
            assert isinstance(value, cst.Attribute)
            node = self._names.self_class(value.value)
            lineage = self._classes.lineage(self._classes.of(node)) if node is not None else []
            return next((one.methods[method] for one in lineage if method in one.methods), None)
        binding = self._names.reference(value).binding if isinstance(value, cst.Name) else None
        if binding is None:
            return None
        if isinstance(binding.node, cst.FunctionDef):
            return binding.node
        return binding.value if isinstance(binding.value, cst.Lambda) else None


def walked_over(name: cst.Name, tree: Tree) -> cst.BaseExpression | None:
    """What the nearest loop around a use of its variable goes through; `m` in `for name, m in ...` counts."""
    for above, _, _ in tree.climb(name, _WALKED):
        if not isinstance(above, cst.For):
            return None
        target = above.target
        several = [element.value for element in target.elements] if isinstance(target, cst.Tuple) else [target]
        if any(isinstance(one, cst.Name) and one.value == name.value for one in several):
            return above.iter
    return None


def _root(tensor: cst.BaseExpression | None) -> tuple[cst.Name | None, str | None]:
    """`m` and `weight` of `m.fc.weight`, `m.weight.data` or `m[0].weight`."""
    attribute: str | None = None
    while tensor is not None and not isinstance(tensor, cst.Name):
        if isinstance(tensor, cst.Attribute):
            if attribute is None and tensor.attr.value != "data":
                attribute = tensor.attr.value
            tensor = tensor.value
        elif isinstance(tensor, cst.Subscript):
            tensor = tensor.value
        else:
            return None, attribute
    return tensor, attribute
