"""The classes derived from `torch.autograd.Function`: what `apply` takes, what is saved, what `backward` returns.

What a decorator, an unknown base or a helper that gets the context may change is unknown, and unknown is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.walk import Tree, walk
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.semantics.project import ProjectIndex

FUNCTIONS: Final = words("torch.autograd.Function torch.autograd.InplaceFunction")
METHODS: Final = words("forward backward setup_context vjp jvp")
# Decorators that keep a method's parameters and what it returns.
_KEEPING: Final = words(
    "builtins.staticmethod torch.no_grad torch.enable_grad torch.inference_mode torch.amp.custom_fwd"
    " torch.amp.custom_bwd torch.cuda.amp.custom_fwd torch.cuda.amp.custom_bwd torch.jit.unused torch.jit.ignore"
    " torch.autograd.function.once_differentiable torch.compiler.disable torch._dynamo.disable"
)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What `apply` takes: the names of `forward`'s parameters after the context, how many it needs, `*args`."""

    names: tuple[str, ...]
    required: int
    is_open: bool


@dataclass(frozen=True, eq=False)
class Save:
    """One `ctx.save_for_backward(...)`; `count` is None where an argument is starred."""

    call: cst.Call
    count: int | None


@dataclass(eq=False)
class FunctionClass:
    """One class of the file. The methods are its own or, with all bases in the file, inherited ones.

    `is_closed` says that every base is known, so that what is not here is nowhere.
    """

    node: cst.ClassDef
    name: str
    methods: dict[str, cst.FunctionDef]
    is_closed: bool
    _tree: Tree
    _names: Names

    @property
    def forward(self) -> cst.FunctionDef | None:
        """The `forward` that `apply` runs."""
        return self.methods.get("forward")

    @property
    def backward(self) -> cst.FunctionDef | None:
        """The `backward`, also under its other name `vjp`."""
        return self.methods.get("backward", self.methods.get("vjp"))

    @property
    def setup_context(self) -> cst.FunctionDef | None:
        """With it, `forward` gets no context."""
        return self.methods.get("setup_context")

    @property
    def saving(self) -> cst.FunctionDef | None:
        """The method that gets the context before `backward` does."""
        return self.setup_context or self.forward

    @cached_property
    def inputs(self) -> Inputs | None:
        """What `apply` takes; None where it cannot be known."""
        if self.forward is None or not self.is_closed or not self._keeps_signature(self.forward):
            return None
        parameters = self.forward.params
        given = parameters_of(self.forward)[0 if self.setup_context is not None else 1 :]
        has_defaults = [each.default is not None for each in given]
        return Inputs(
            tuple(each.name.value for each in given),
            has_defaults.count(False) if self.setup_context is None else len(given),  # there defaults are inputs, too
            isinstance(parameters.star_arg, cst.Param) or parameters.star_kwarg is not None,
        )

    @cached_property
    def saves(self) -> tuple[Save, ...] | None:
        """Every save, in text order; None where the context goes elsewhere before `backward`."""
        if self.saving is None or not self.is_closed or not self._keeps_signature(self.saving):
            return None
        uses = list(self.context_uses(self.saving))
        if any(not isinstance(self._tree.parent(use), cst.Attribute) for use in uses):
            return None
        found: list[Save] = []
        for use in uses:
            attribute = self._tree.parent(use)
            call = self._tree.parent(attribute) if attribute is not None else None
            if isinstance(attribute, cst.Attribute) and attribute.attr.value == "save_for_backward":
                if not isinstance(call, cst.Call):
                    return None  # handed on under another name
                starred = any(given.star for given in call.args)
                found.append(Save(call, None if starred else len(call.args)))
        return tuple(found)

    @cached_property
    def saved_counts(self) -> frozenset[int] | None:
        """How many tensors `ctx.saved_tensors` may hold; None where that cannot be known."""
        if self.saves is None or any(save.count is None for save in self.saves):
            return None
        return frozenset(save.count for save in self.saves if save.count is not None) or frozenset({0})

    def context_uses(self, method: cst.FunctionDef) -> Iterator[cst.Name]:
        """Every use of a method's context, its first parameter."""
        first = next(iter(parameters_of(method)), None)
        if first is None:
            return
        for node in self._tree.walk(method.body):
            if isinstance(node, cst.Name) and node.value == first.name.value:
                above = self._tree.parent(node)
                is_keyword = isinstance(above, cst.Arg) and above.keyword is node
                if not is_keyword and not (isinstance(above, cst.Attribute) and above.attr is node):
                    yield node

    def attribute_uses(self, method: cst.FunctionDef, attribute: str) -> list[cst.Attribute]:
        """Every `ctx.attribute` of a method."""
        above = [self._tree.parent(use) for use in self.context_uses(method)]
        return [node for node in above if isinstance(node, cst.Attribute) and node.attr.value == attribute]

    def returns(self, method: cst.FunctionDef) -> list[cst.Return]:
        """The `return`s of a method, not those of functions within it."""
        found = self._tree.below(method.body, cst.Return)
        return [node for node in found if self._tree.enclosing(node, cst.FunctionDef, cst.Lambda) is method]

    def _keeps_signature(self, method: cst.FunctionDef) -> bool:
        return all(_decorator_name(each, self._names) in _KEEPING for each in method.decorators)

    def keeps(self, method: cst.FunctionDef) -> bool:
        """Whether nothing around a method changes what it takes and returns."""
        return self._keeps_signature(method)


class AutogradFunctions:
    """The Functions of one file, in text order."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses, project: ProjectIndex) -> None:
        self._tree, self._names, self._classes, self._project = tree, names, classes, project
        self.all: tuple[FunctionClass, ...] = tuple(
            self._describe(one) for one in classes.all if self.is_function(one.name)
        )
        self._by_name = {one.name: one for one in self.all}

    def named(self, full_name: str | None) -> FunctionClass | None:
        """The Function of this file with a full name."""
        return self._by_name.get(full_name or "")

    def enclosing(self, node: cst.CSTNode) -> FunctionClass | None:
        """The Function in whose class statement a node stands."""
        owner = self._classes.enclosing(node)
        return self.named(owner.name) if owner is not None else None

    def is_function(self, full_name: str | None, seen: frozenset[str] = frozenset()) -> bool:
        """Whether the class with a full name surely derives from Function, also through other files."""
        if full_name is None or full_name in seen:
            return False
        if full_name in FUNCTIONS:
            return True
        own = self._classes.named(full_name)
        elsewhere = None if own is not None else self._project.find_class(full_name)
        bases = own.bases if own is not None else elsewhere.bases if elsewhere is not None else ()
        return any(self.is_function(base, seen | {full_name}) for base in bases)

    def _describe(self, owner: ModuleClass) -> FunctionClass:
        lineage = self._classes.lineage(owner)
        methods: dict[str, cst.FunctionDef] = {}
        for one in reversed(lineage):
            methods.update({name: method for name, method in one.methods.items() if name in METHODS})
        bases = [base for one in lineage for base in one.bases]
        known = all(base in FUNCTIONS or self._classes.named(base) is not None for base in bases)
        plain = not any(_assigns_method(one.node) or one.node.decorators for one in lineage)
        return FunctionClass(owner.node, owner.name, methods, known and plain, self._tree, self._names)


def parameters_of(method: cst.FunctionDef) -> list[cst.Param]:
    """The parameters that are given by position."""
    return [*method.params.posonly_params, *method.params.params]


def _assigns_method(node: cst.ClassDef) -> bool:
    """Whether the class statement makes a method by other means than `def`: `forward = staticmethod(f)`, `if`."""
    for statement in node.body.body:
        if isinstance(statement, cst.BaseCompoundStatement) and not isinstance(statement, cst.FunctionDef):
            return True
        names = {below.value for below in walk(statement) if isinstance(below, cst.Name)}
        if not isinstance(statement, cst.FunctionDef) and names & METHODS:
            return True
    return False


def _decorator_name(decorator: cst.Decorator, names: Names) -> str | None:
    given = decorator.decorator
    return names.full_name(given.func if isinstance(given, cst.Call) else given)
