"""Python's scopes: which names each module, class, function, lambda and comprehension binds, and by what.

Built from the finished tree without another walk. The rules are Python's own: class bodies are invisible to what
is nested in them, `global` and `nonlocal` move a binding, a walrus leaves its comprehension, the first iterable of
a comprehension, decorators, defaults and bases are evaluated outside, annotations see type parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import libcst as cst


class ScopeKind(str, Enum):
    """What opened a scope."""

    MODULE = "module"
    CLASS = "class"
    FUNCTION = "function"
    LAMBDA = "lambda"
    COMPREHENSION = "comprehension"
    TYPES = "types"  # the type parameters of a generic class, function or alias


class BindingKind(str, Enum):
    """What gave a name its value."""

    IMPORT = "import"
    ASSIGNMENT = "assignment"  # `x = v`, `x: T = v`, `(x := v)`, paired unpacking; `value` is v
    UNPACKING = "unpacking"
    AUGMENTED = "augmented"
    DECLARATION = "declaration"  # `x: T`, no value
    PARAMETER = "parameter"
    LOOP = "loop"  # the target of `for`, also in a comprehension; `value` is the iterable of a plain target
    WITH = "with"
    EXCEPT = "except"
    MATCH = "match"
    DELETION = "deletion"
    FUNCTION = "function"
    CLASS = "class"
    TYPE_PARAMETER = "type parameter"


@dataclass(frozen=True, eq=False)
class Binding:
    """One place that binds a name: `target` is the full name an import brings, `value` what an assignment assigns."""

    name: str
    kind: BindingKind
    node: cst.CSTNode
    scope: Scope
    value: cst.BaseExpression | None = None
    target: str | None = None


@dataclass(eq=False)
class Scope:
    """The names bound in one block; `parent` is the scope that its code is written in."""

    kind: ScopeKind
    node: cst.CSTNode
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    has_star_import: bool = False

    def chain(self) -> Iterator[Scope]:
        """This scope and the ones around it, nearest first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def module(self) -> Scope:
        """The module's scope."""
        *_, outermost = self.chain()
        return outermost

    def find(self, name: str) -> Scope | None:
        """The scope whose binding a use of `name` here means; None when no scope binds it."""
        class_visible = True
        for scope in self.chain():
            if scope.kind is not ScopeKind.CLASS or class_visible:
                if name in scope.globals:
                    return scope.module if name in scope.module.bindings else None
                if name in scope.bindings and name not in scope.nonlocals:
                    return scope
            class_visible = class_visible and scope.kind is ScopeKind.TYPES
        return None

    def owner(self, name: str) -> Scope:
        """The scope in which a binding of `name` written here takes effect."""
        if name in self.globals:
            return self.module
        if name in self.nonlocals:
            for scope in self.chain():
                function_like = scope.kind in (ScopeKind.FUNCTION, ScopeKind.LAMBDA)
                if function_like and name in scope.bindings and name not in scope.nonlocals:
                    return scope
        return self
