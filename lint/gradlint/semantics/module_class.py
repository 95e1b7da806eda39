"""Which classes of a file are `nn.Module`s, and what they hold: layers, parameters, buffers, plain attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import ScopeKind
from gradlint.semantics.project import ProjectIndex
from gradlint.walk import Tree
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradlint.names import Names

_TORCH_MODULE = re.compile(r"^torch\.nn\.[A-Z]\w*$|^torch\.ao\.nn\.[\w.]+\.[A-Z]\w*$")
_NOT_MODULES = frozenset(
    f"torch.nn.{name}" for name in ("Parameter", "UninitializedParameter", "UninitializedBuffer", "Buffer")
)
_OTHER_MODULES = words(
    "torch.jit.ScriptModule pytorch_lightning.LightningModule lightning.LightningModule"
    " lightning.pytorch.LightningModule transformers.PreTrainedModel d2l.torch.Module d2l.torch.Classifier"
)
_PARAMETERS = frozenset({"torch.nn.Parameter", "torch.nn.UninitializedParameter"})
_KNOWN_PLAIN = re.compile(r"^(builtins|torch|math|numpy|collections|functools|itertools|typing|os|logging)\.")


class AttributeKind(str, Enum):
    """What an attribute of a module is to torch."""

    LAYER = "layer"  # a registered Module
    PARAMETER = "parameter"
    BUFFER = "buffer"
    PLAIN = "plain"  # certainly none of these
    OPAQUE = "opaque"  # cannot be known


@dataclass(frozen=True, eq=False)
class Attribute:
    """One place that sets `self.name`: `type` is what constructs the value.

    `node` is the assignment's target or the registering call.
    """

    name: str
    kind: AttributeKind
    node: cst.CSTNode
    method: cst.FunctionDef | None
    value: cst.BaseExpression | None = None
    type: str | None = None


@dataclass(eq=False)
class ModuleClass:
    """A class of the file. `is_module` is None when a base cannot be known; `bases` are full names.

    `dynamic` says that attributes may exist that `attributes` does not list: setattr, add_module with a computed
    name, `__getattr__`, `__dict__`.
    """

    node: cst.ClassDef
    name: str
    bases: tuple[str | None, ...]
    is_module: bool | None = None
    attributes: dict[str, list[Attribute]] = field(default_factory=dict)
    methods: dict[str, cst.FunctionDef] = field(default_factory=dict)
    dynamic: bool = False

    @property
    def forward(self) -> cst.FunctionDef | None:
        """The class's own `forward`."""
        return self.methods.get("forward")

    def attribute(self, name: str) -> Attribute | None:
        """The only place that sets an attribute, where there is exactly one."""
        places = self.attributes.get(name, [])
        return places[0] if len(places) == 1 else None


class ModuleClasses:
    """The classes of one file, in text order, and what is known of those in other files."""

    def __init__(self, tree: Tree, names: Names, project: ProjectIndex | None = None) -> None:
        self._tree = tree
        self._names = names
        self.project = project or ProjectIndex()
        self.all: tuple[ModuleClass, ...] = tuple(map(self._describe, tree.nodes(cst.ClassDef)))
        self._by_node = {found.node: found for found in self.all}
        self._by_name = {found.name: found for found in self.all}
        self._are_modules: dict[str | None, bool | None] = {}
        for found in self.all:
            found.is_module = self.is_module(found.name)
        self._collect()

    @property
    def modules(self) -> tuple[ModuleClass, ...]:
        """The classes that certainly are modules."""
        return tuple(found for found in self.all if found.is_module)

    def of(self, node: cst.ClassDef) -> ModuleClass:
        """What is known of a class statement."""
        return self._by_node[node]

    def named(self, full_name: str | None) -> ModuleClass | None:
        """The class of this file with a full name."""
        return self._by_name.get(full_name or "")

    def enclosing(self, node: cst.CSTNode) -> ModuleClass | None:
        """The class in which a node is written."""
        above = self._tree.enclosing(node, cst.ClassDef)
        return self._by_node[above] if above is not None else None

    def lineage(self, start: ModuleClass) -> list[ModuleClass]:
        """The class and its bases of this file, nearest first."""
        found: list[ModuleClass] = []
        waiting = [start]
        while waiting:
            one = waiting.pop(0)
            if one not in found:
                found.append(one)
                waiting.extend(base for base in map(self.named, one.bases) if base is not None)
        return found

    def is_module(self, full_name: str | None) -> bool | None:
        """Whether the class with a full name is an `nn.Module`; None when it cannot be known."""
        if full_name not in self._are_modules:
            self._are_modules[full_name] = is_module_name(full_name, self.project, self.named)
        return self._are_modules[full_name]

    def constructed(self, value: cst.BaseExpression | None) -> str | None:
        """The full name of what a call constructs or calls: `torch.nn.Linear` of `nn.Linear(3, 4)`."""
        return self._names.full_name(value.func) if isinstance(value, cst.Call) else None

    def kind_of(self, value: cst.BaseExpression | None) -> AttributeKind:
        """What `self.x = value` makes of `x`."""
        made = self.constructed(value)
        if made is not None:
            if made in _PARAMETERS:
                return AttributeKind.PARAMETER
            if made == "torch.nn.Buffer":
                return AttributeKind.BUFFER
            is_module = self.is_module(made)
            if is_module:
                return AttributeKind.LAYER
            return AttributeKind.OPAQUE if is_module is None else AttributeKind.PLAIN
        constant = isinstance(value, cst.Name) and value.value in ("True", "False", "None")
        plain = constant or type(value) in _PLAIN or isinstance(value, (cst.BaseNumber, cst.BaseString))
        return AttributeKind.PLAIN if plain else AttributeKind.OPAQUE

    def _describe(self, node: cst.ClassDef) -> ModuleClass:
        bases = []
        for base in node.bases:
            value = base.value.value if isinstance(base.value, cst.Subscript) else base.value
            bases.append(None if base.star else self._names.full_name(value))
        methods = {
            statement.name.value: statement for statement in node.body.body if isinstance(statement, cst.FunctionDef)
        }
        dynamic = bool(methods.keys() & {"__getattr__", "__getattribute__", "__setattr__"})
        return ModuleClass(node, self._names.defined_name(node), tuple(bases), methods=methods, dynamic=dynamic)

    def _collect(self) -> None:
        for assign in self._tree.nodes(cst.Assign):
            for target in assign.targets:
                if type(target.target) is not cst.Name:  # most of them
                    self._collect_target(target.target, assign.value)
        for annotated in self._tree.nodes(cst.AnnAssign):
            if annotated.value is not None:
                self._collect_target(annotated.target, annotated.value)
        for call in self._tree.nodes(cst.Call):
            self._collect_call(call)
        for attribute in self._tree.nodes(cst.Attribute):
            if attribute.attr.value == "__dict__" and (owner := self._owner(attribute.value)):
                owner.dynamic = True

    def _owner(self, expression: cst.CSTNode) -> ModuleClass | None:
        node = self._names.self_class(expression)
        return self._by_node[node] if node is not None else None

    def _collect_target(self, target: cst.BaseExpression, value: cst.BaseExpression | None) -> None:
        if type(target) is cst.Attribute:
            owner = self._owner(target.value)
            if owner is not None:
                self._add(owner, target.attr.value, self.kind_of(value), target, value)
        elif isinstance(target, (cst.Tuple, cst.List)):
            for element, given in zip(target.elements, _paired(target, value), strict=True):
                self._collect_target(element.value, given)

    def _collect_call(self, call: cst.Call) -> None:
        function = call.func
        values = [argument.value for argument in call.args]
        if type(function) is cst.Name:
            owner = self._owner(values[0]) if function.value == "setattr" and values else None
            if owner is not None:
                self._register(owner, AttributeKind.OPAQUE, call, values[1:])
        elif type(function) is cst.Attribute:
            kind = _REGISTERING.get(function.attr.value)
            owner = self._owner(function.value) if kind is not None else None
            if kind is not None and owner is not None:
                self._register(owner, kind, call, values)

    def _register(
        self, owner: ModuleClass, kind: AttributeKind, call: cst.Call, values: list[cst.BaseExpression]
    ) -> None:
        name = values[0].evaluated_value if values and isinstance(values[0], cst.SimpleString) else None
        if isinstance(name, str):
            self._add(owner, name, kind, call, values[1] if len(values) > 1 else None)
        else:
            owner.dynamic = True

    def _add(
        self, owner: ModuleClass, name: str, kind: AttributeKind, node: cst.CSTNode, value: cst.BaseExpression | None
    ) -> None:
        scope = self._names.scopes.of(node)
        while scope.kind is not ScopeKind.FUNCTION and scope.parent is not None:
            scope = scope.parent
        method = scope.node if isinstance(scope.node, cst.FunctionDef) else None
        made = self.constructed(value)
        owner.attributes.setdefault(name, []).append(Attribute(name, kind, node, method, value, made))


def _paired(target: cst.Tuple | cst.List, value: cst.BaseExpression | None) -> list[cst.BaseExpression] | list[None]:
    """What each part of `a, b = x, y` gets; None each where the values are not written side by side."""
    several = value.elements if isinstance(value, (cst.Tuple, cst.List)) else ()
    plain = not any(isinstance(each, cst.StarredElement) for each in (*target.elements, *several))
    if not plain or len(several) != len(target.elements):
        return [None] * len(target.elements)
    return [each.value for each in several]


def is_module_name(
    name: str | None,
    project: ProjectIndex,
    named: Callable[[str], ModuleClass | None] = lambda _: None,
    seen: frozenset[str] = frozenset(),
) -> bool | None:
    """Whether the class with a full name is an `nn.Module`; None when it cannot be known.

    `named` gives the classes of the file that asks, `project` those of others.
    """
    if name is None or name in seen:
        return None
    if name in _NOT_MODULES:
        return False
    if _TORCH_MODULE.match(name) or name in _OTHER_MODULES:
        return True
    found = named(name) or project.find_class(name)
    if found is None:
        return False if _KNOWN_PLAIN.match(name) else None
    answers = [is_module_name(base, project, named, seen | {name}) for base in found.bases]
    return True if True in answers else None if None in answers else False


_PLAIN = frozenset(
    (cst.List, cst.Tuple, cst.Dict, cst.Set, cst.Lambda, cst.Comparison, cst.ListComp, cst.DictComp, cst.SetComp)
)
_REGISTERING = {
    "add_module": AttributeKind.LAYER,
    "register_module": AttributeKind.LAYER,
    "register_buffer": AttributeKind.BUFFER,
    "register_parameter": AttributeKind.PARAMETER,
}
