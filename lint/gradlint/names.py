"""What the names in a file mean: their full names through every alias, their bindings, and literal values."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.bindings import Scopes
from gradlint.scopes import Binding, BindingKind, Scope, ScopeKind
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradlint.walk import Tree

# The running interpreter's builtins, those of newer ones, what `site` and IPython add, and what a module has by itself:
# the answer must not depend on who runs the linter.
BUILTINS: Final = frozenset(dir(builtins)) | words(
    "BaseExceptionGroup ExceptionGroup EncodingWarning PythonFinalizationError WindowsError aiter anext copyright"
    " credits display exit get_ipython help license quit reveal_type __annotations__ __builtins__ __class__ __dict__"
    " __doc__ __file__ __loader__ __module__ __name__ __package__ __path__ __qualname__ __spec__ __version__ _"
)
_DEFINITIONS: Final[frozenset[type[cst.CSTNode]]] = frozenset((cst.ClassDef, cst.FunctionDef))
# Calls after which any name may exist.
_DYNAMIC: Final = frozenset({"exec", "globals"})
# Where torch defines a thing against where it offers it.
_HOMES: Final = (
    (re.compile(r"^torch\.nn\.modules\.(?:\w+\.)?(?=[A-Z])"), "torch.nn."),
    (re.compile(r"^torch\.nn\.parameter\.(?=[A-Z])"), "torch.nn."),
    (re.compile(r"^torch\.optim\.(?!lr_scheduler|swa_utils)[a-z_]\w*\.(?=[A-Z])"), "torch.optim."),
    (re.compile(r"^torch\.autograd\.function\.(?=[A-Z])"), "torch.autograd."),
    (re.compile(r"^torch\.nn\.utils\.clip_grad\.(?=\w)"), "torch.nn.utils."),
)


class Standing(str, Enum):
    """How sure a reference is."""

    BOUND = "bound"
    BUILTIN = "builtin"
    UNDEFINED = "undefined"  # no scope binds it: using it raises NameError
    UNKNOWN = "unknown"  # a star import, `exec` or the like may bring it


@dataclass(frozen=True)
class Reference:
    """What a use of a name means: the scope that binds it, and every place there that does."""

    name: str
    standing: Standing
    scope: Scope | None = None
    bindings: tuple[Binding, ...] = ()

    @property
    def binding(self) -> Binding | None:
        """The only binding, where there is exactly one."""
        return self.bindings[0] if len(self.bindings) == 1 else None

    @property
    def is_module_level(self) -> bool:
        """Whether the name is bound by the module itself."""
        return self.scope is not None and self.scope.kind is ScopeKind.MODULE


def canonical(name: str) -> str:
    """A torch name at the place where torch offers it: `torch.nn.modules.linear.Linear` is `torch.nn.Linear`."""
    if not name.startswith("torch."):
        return name
    for home, offered in _HOMES:
        name, count = home.subn(offered, name)
        if count:
            break
    return name


class Names:
    """Answers for one file. `elsewhere` follows a full name through the re-exports of other files, if given."""

    def __init__(
        self,
        tree: Tree,
        module: str = "__main__",
        *,
        is_package: bool = False,
        elsewhere: Callable[[str], str] | None = None,
    ) -> None:
        self.tree = tree
        self.module = module
        self._elsewhere = elsewhere or (lambda name: name)
        # By id, because hashing a node is a call of a Python function; the node beside it keeps its id from others.
        self._full: dict[int, tuple[cst.CSTNode, str | None]] = {}
        self._self_classes: dict[int, tuple[cst.CSTNode, cst.ClassDef | None]] = {}
        self._looked_up: dict[tuple[str, Scope], Reference] = {}
        self._canonical: dict[str, str] = {}
        self._selves: dict[Binding, cst.ClassDef | None] = {}
        self.scopes = Scopes(tree, module, is_package=is_package)

    def reference(self, name: cst.Name) -> Reference:
        """What a use of a name refers to: exactly Python's scoping."""
        return self.lookup(name.value, self.scopes.of(name))

    def lookup(self, name: str, scope: Scope) -> Reference:
        """What a name would refer to in a scope."""
        key = name, scope
        if key not in self._looked_up:
            self._looked_up[key] = self._look_up(name, scope)
        return self._looked_up[key]

    def _look_up(self, name: str, scope: Scope) -> Reference:
        found = scope.find(name)
        if found is not None:
            return Reference(name, Standing.BOUND, found, tuple(found.bindings[name]))
        if name in BUILTINS:
            return Reference(name, Standing.BUILTIN)
        return Reference(name, Standing.UNKNOWN if self._is_dynamic else Standing.UNDEFINED)

    @cached_property
    def _is_dynamic(self) -> bool:
        module = self.scopes.module
        if module.has_star_import or "__getattr__" in module.bindings:
            return True
        calls = self.tree.nodes(cst.Call)
        return any(isinstance(call.func, cst.Name) and call.func.value in _DYNAMIC for call in calls)

    def full_name(self, expression: cst.CSTNode) -> str | None:
        """The full name of what an expression is, such as `torch.nn.Linear`; None when it cannot be known.

        Follows imports under any alias, plain re-assignments (`L = nn.Linear`) and the project's re-exports. A name
        with several bindings has a full name only if all agree; a fallback `None` beside an import is no disagreement.
        Things defined in this file are named by its module: `__main__.Net`, `pkg.mod.Net.forward`.
        """
        kind = type(expression)
        if kind is not cst.Name and kind is not cst.Attribute:
            return None
        known = self._full.get(id(expression))
        if known is not None:
            return known[1]
        self._full[id(expression)] = expression, None  # the answer while `x = x` asks for itself
        found = self._resolve(expression)
        self._full[id(expression)] = expression, found
        return found

    def _resolve(self, expression: cst.CSTNode) -> str | None:
        if type(expression) is cst.Attribute:
            base = self.full_name(expression.value)
            return None if base is None else self._offered(f"{base}.{expression.attr.value}")
        assert isinstance(expression, cst.Name)
        reference = self.reference(expression)
        if reference.standing is Standing.BUILTIN:
            return f"builtins.{reference.name}"
        silent = (BindingKind.DELETION, BindingKind.DECLARATION)
        bindings = [binding for binding in reference.bindings if binding.kind not in silent]
        real = [binding for binding in bindings if not _is_none(binding.value)]
        found = {self.binding_name(binding) for binding in real}
        return found.pop() if len(found) == 1 else None

    def binding_name(self, binding: Binding) -> str | None:
        """The full name that one binding gives."""
        if binding.kind is BindingKind.IMPORT:
            return None if binding.target is None else self._offered(binding.target)
        if binding.kind in (BindingKind.CLASS, BindingKind.FUNCTION):
            return self.defined_name(binding.node)
        if binding.kind is BindingKind.ASSIGNMENT and binding.value is not None:
            return self.full_name(binding.value)
        return None

    def value_at(self, name: cst.Name) -> cst.BaseExpression | None:
        """The value that a variable has at a use; None when several may reach it.

        It is assigned once (a `None` besides does not count), or only by statements of one block that run in order.
        """
        bindings = self.reference(name).bindings
        if any(each.kind is not BindingKind.ASSIGNMENT for each in bindings):
            return None
        real = [each for each in bindings if not _is_none(each.value)]
        if len(real) == 1:
            return real[0].value
        blocks = {self.tree.parent(self.tree.statement(each.node)) for each in bindings}
        block = blocks.pop() if len(blocks) == 1 else None
        around = (name, *self.tree.ancestors(name))
        if block is None or block not in around or self.reference(name).scope is not self.scopes.of(name):
            return None
        body = list(getattr(block, "body", ()))
        here = next(index for index, statement in enumerate(body) if statement in around)
        places = {body.index(self.tree.statement(each.node)): each for each in bindings}
        last = max((place for place in places if place < here), default=None)
        return None if last is None else places[last].value

    def is_never_changed(self, binding: Binding) -> bool:
        """Whether the list that a name was bound to stays as it is: it is only read, by index or in loops."""
        for name in self.tree.named(binding.name):
            if name is binding.node:
                continue
            above = self.tree.parent(name)
            if isinstance(above, cst.Subscript) and above.value is name:
                above = self.tree.parent(above)
                if isinstance(above, (cst.AssignTarget, cst.AugAssign, cst.Del)):
                    return False
            elif isinstance(above, cst.Attribute) and above.value is name:
                return False
        return True

    def defined_name(self, definition: cst.CSTNode) -> str:
        """The full name of a class or function defined in this file."""
        parts: list[str] = []
        for node in (definition, *(above for above, _, _ in self.tree.climb(definition, _DEFINITIONS))):
            if isinstance(node, (cst.ClassDef, cst.FunctionDef)):
                if parts and isinstance(node, cst.FunctionDef):
                    parts.append("<locals>")
                parts.append(node.name.value)
        return ".".join((self.module, *reversed(parts)))

    def spelling(self, full_name: str, at: cst.CSTNode) -> str | None:
        """How a torch name is written at a place with what is imported there: `nn.ModuleList`; None without import."""
        here = self.scopes.of(at)
        parts = full_name.split(".")
        for count in range(len(parts), 0, -1):
            wanted = ".".join(parts[:count])
            for scope in here.chain():
                for name in scope.bindings:
                    binding = self.lookup(name, here).binding
                    imported = binding is not None and binding.kind is BindingKind.IMPORT and binding.scope is scope
                    if binding is not None and imported and self.binding_name(binding) == wanted:
                        return ".".join([name, *parts[count:]])
        return None

    def _offered(self, name: str) -> str:
        if name not in self._canonical:
            self._canonical[name] = canonical(self._elsewhere(canonical(name)))
        return self._canonical[name]

    def self_class(self, expression: cst.CSTNode) -> cst.ClassDef | None:
        """The class whose instance an expression is, when it is a method's first parameter (`self`)."""
        if type(expression) is not cst.Name or expression.value not in self._first_parameters:
            return None
        known = self._self_classes.get(id(expression))
        if known is None:
            self._self_classes[id(expression)] = known = expression, self._class_of_self(expression)
        return known[1]

    def _class_of_self(self, name: cst.Name) -> cst.ClassDef | None:
        binding = self.reference(name).binding
        if binding is None or binding.kind is not BindingKind.PARAMETER:
            return None
        if binding not in self._selves:
            self._selves[binding] = self._class_of(binding)
        return self._selves[binding]

    @cached_property
    def _first_parameters(self) -> frozenset[str]:
        """What methods call their first parameter, `self` by custom: no other name can be an instance of its class."""
        methods = [
            function
            for function in self.tree.nodes(cst.FunctionDef)
            if isinstance(self.tree.enclosing(function, cst.ClassDef, cst.FunctionDef), cst.ClassDef)
        ]
        firsts = ((*method.params.posonly_params, *method.params.params)[:1] for method in methods)
        return frozenset(parameter.name.value for first in firsts for parameter in first)

    def _class_of(self, binding: Binding) -> cst.ClassDef | None:
        method = binding.scope.node
        if not isinstance(method, cst.FunctionDef) or self._is_unbound(method):
            return None
        first = next(iter((*method.params.posonly_params, *method.params.params)), None)
        around = self.scopes.of(method).node
        return around if first is binding.node and isinstance(around, cst.ClassDef) else None

    def _is_unbound(self, method: cst.FunctionDef) -> bool:
        decorators = {self.full_name(decorator.decorator) for decorator in method.decorators}
        return bool(decorators & {"builtins.staticmethod", "builtins.classmethod"})

    def self_attribute(self, expression: cst.CSTNode) -> str | None:
        """`x` when the expression is `self.x` in a method (or in what is nested in it)."""
        if type(expression) is cst.Attribute and self.self_class(expression.value) is not None:
            return expression.attr.value
        return None


def _is_none(value: cst.BaseExpression | None) -> bool:
    return type(value) is cst.Name and value.value == "None"
