"""Fills the scopes of a file: every statement and expression that opens a scope or binds a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst
from libcst.helpers import get_full_name_for_node

from gradlint.scopes import Binding, BindingKind, Scope, ScopeKind

if TYPE_CHECKING:
    from gradlint.walk import Tree

_COMPREHENSIONS = (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)
# What may stand between a node and the scope it is evaluated in.
_SCOPING: Final[frozenset[type[cst.CSTNode]]] = frozenset(
    (cst.IndentedBlock, cst.Annotation, cst.FunctionDef, cst.ClassDef, cst.Lambda, cst.TypeAlias, *_COMPREHENSIONS)
)


class Scopes:
    """The scopes of one file. `module` is the file's dotted name, by which relative imports become absolute."""

    def __init__(self, tree: Tree, module: str = "__main__", *, is_package: bool = False) -> None:
        self._tree = tree
        self._package = module if is_package else module.rpartition(".")[0]
        self.module = Scope(ScopeKind.MODULE, tree.module, None)
        self._own: dict[cst.CSTNode, Scope] = {tree.module: self.module}
        self._types: dict[cst.CSTNode, Scope] = {}
        self._blocks: dict[cst.CSTNode, Scope] = {}
        self._open()
        self._declare()
        self._bind_all()

    def of(self, node: cst.CSTNode) -> Scope:
        """The scope in which a node is evaluated (for a function or class: in which it is defined)."""
        annotated = type(node) is cst.Annotation
        for above, child, below in self._tree.climb(node, _SCOPING):
            kind = type(above)
            if kind is cst.IndentedBlock:
                known = self._blocks.get(above)
                if known is None:
                    self._blocks[above] = known = self.of(above)
                return known
            if kind is cst.Annotation:
                annotated = True
            else:
                entered = self._entered(above, child, below, annotated)
                if entered is not None:
                    return entered
        return self.module

    def let_go(self) -> None:
        """Forget the bindings: they and their scopes hold each other, and with them the whole tree."""
        for scope in (*self._own.values(), *self._types.values()):
            scope.bindings.clear()

    def inside(self, node: cst.CSTNode) -> Scope:
        """The scope that a module, class, function, lambda or comprehension opens."""
        return self._own[node]

    def _entered(self, above: cst.CSTNode, child: cst.CSTNode, below: cst.CSTNode, annotated: bool) -> Scope | None:
        if isinstance(above, (cst.FunctionDef, cst.ClassDef)):
            if child is above.body:
                return self._own.get(above)
            if child is above.name or child in above.decorators:
                return None
            # Defaults are evaluated outside of the type parameters, everything else inside.
            outside = isinstance(above, cst.FunctionDef) and child is above.params and not annotated
            return None if outside else self._types.get(above)
        if isinstance(above, cst.Lambda):
            return self._own.get(above) if child is above.body else None
        if isinstance(above, _COMPREHENSIONS):
            if child is above.for_in and below is above.for_in.iter:
                return None
            return self._own.get(above)
        if isinstance(above, cst.TypeAlias):
            return None if child is above.name else self._types.get(above)
        return None

    def _open(self) -> None:
        # Outer nodes come first in each list, but a lambda may stand in a function and the other way round:
        # parents are settled in a second pass, when every scope exists.
        kinds: list[tuple[type[cst.CSTNode], ScopeKind]] = [
            (cst.FunctionDef, ScopeKind.FUNCTION),
            (cst.ClassDef, ScopeKind.CLASS),
            (cst.Lambda, ScopeKind.LAMBDA),
            *((kind, ScopeKind.COMPREHENSION) for kind in _COMPREHENSIONS),
        ]
        for node_kind, scope_kind in kinds:
            for node in self._tree.nodes(node_kind):
                self._own[node] = Scope(scope_kind, node, None)
        for parameters in self._tree.nodes(cst.TypeParameters):
            generic = self._tree.parent(parameters)
            assert generic is not None
            self._types[generic] = Scope(ScopeKind.TYPES, generic, None)
        for node, scope in self._types.items():
            scope.parent = self.of(node)
        for node, scope in self._own.items():
            if scope is not self.module:
                scope.parent = self._types.get(node) or self.of(node)

    def _declare(self) -> None:
        for statement in self._tree.nodes(cst.Global):
            self.of(statement).globals.update(item.name.value for item in statement.names)
        for nonlocal_statement in self._tree.nodes(cst.Nonlocal):
            self.of(nonlocal_statement).nonlocals.update(item.name.value for item in nonlocal_statement.names)

    def _bind_all(self) -> None:
        tree = self._tree
        for function in tree.nodes(cst.FunctionDef):
            self._bind(function.name.value, BindingKind.FUNCTION, function, self.of(function))
        for defined in tree.nodes(cst.ClassDef):
            self._bind(defined.name.value, BindingKind.CLASS, defined, self.of(defined))
        for parameters in tree.nodes(cst.Parameters):
            self._bind_parameters(parameters)
        for imported in tree.nodes(cst.Import):
            self._bind_import(imported)
        for imported_from in tree.nodes(cst.ImportFrom):
            self._bind_import(imported_from)
        self._bind_assignments()
        self._bind_blocks()
        self._bind_patterns()

    def _bind_parameters(self, parameters: cst.Parameters) -> None:
        owner = self._tree.parent(parameters)
        assert owner is not None
        everyone = [*parameters.posonly_params, *parameters.params, parameters.star_arg, *parameters.kwonly_params]
        for parameter in (*everyone, parameters.star_kwarg):
            if isinstance(parameter, cst.Param):
                self._bind(parameter.name.value, BindingKind.PARAMETER, parameter, self._own[owner])

    def _bind_import(self, statement: cst.Import | cst.ImportFrom) -> None:
        scope = self.of(statement)
        if isinstance(statement.names, cst.ImportStar):
            scope.has_star_import = True
            return
        base = self.import_base(statement) if isinstance(statement, cst.ImportFrom) else ""
        for alias in statement.names:
            full = get_full_name_for_node(alias.name) or ""
            target = None if base is None else f"{base}.{full}" if base else full
            if alias.asname is not None:
                name = get_full_name_for_node(alias.asname.name) or ""
            elif base == "":  # `import torch.nn` binds `torch`
                name = target = full.partition(".")[0]
            else:
                name = full
            self._bind(name, BindingKind.IMPORT, alias, scope, target=target)

    def import_base(self, statement: cst.ImportFrom) -> str | None:
        """The full name of the module that a `from` imports from; None above the project or when unknown."""
        module = get_full_name_for_node(statement.module) if statement.module else None
        if not statement.relative:
            return module or ""
        package = self._package.split(".") if self._package else []
        up = len(statement.relative) - 1
        if len(package) <= up:
            return None
        parts = [*package[: len(package) - up], *([module] if module else [])]
        return ".".join(parts)

    def _bind_assignments(self) -> None:
        tree = self._tree
        for target in tree.nodes(cst.AssignTarget):
            assign = tree.parent(target)
            assert isinstance(assign, cst.Assign)
            self._bind_target(target.target, BindingKind.ASSIGNMENT, assign.value)
        for annotated in tree.nodes(cst.AnnAssign):
            kind = BindingKind.DECLARATION if annotated.value is None else BindingKind.ASSIGNMENT
            self._bind_target(annotated.target, kind, annotated.value)
        for augmented in tree.nodes(cst.AugAssign):
            self._bind_target(augmented.target, BindingKind.AUGMENTED)
        for walrus in tree.nodes(cst.NamedExpr):
            scope = self.of(walrus)
            while scope.kind is ScopeKind.COMPREHENSION and scope.parent is not None:
                scope = scope.parent
            self._bind_target(walrus.target, BindingKind.ASSIGNMENT, walrus.value, scope)
        for deletion in tree.nodes(cst.Del):
            self._bind_target(deletion.target, BindingKind.DELETION)

    def _bind_blocks(self) -> None:
        tree = self._tree
        for loop in tree.nodes(cst.For):
            self._bind_target(loop.target, BindingKind.LOOP, loop.iter)
        for clause in tree.nodes(cst.CompFor):
            self._bind_target(clause.target, BindingKind.LOOP, clause.iter)
        for alias in tree.nodes(cst.AsName):
            above = tree.parent(alias)
            if isinstance(above, cst.WithItem):
                self._bind_target(alias.name, BindingKind.WITH)
            elif isinstance(above, (cst.ExceptHandler, cst.ExceptStarHandler)):
                self._bind_target(alias.name, BindingKind.EXCEPT)

    def _bind_patterns(self) -> None:
        tree = self._tree
        patterns: list[cst.MatchAs | cst.MatchStar] = [*tree.nodes(cst.MatchAs), *tree.nodes(cst.MatchStar)]
        for pattern in patterns:
            if pattern.name is not None:
                self._bind_target(pattern.name, BindingKind.MATCH)
        for mapping in tree.nodes(cst.MatchMapping):
            if mapping.rest is not None:
                self._bind_target(mapping.rest, BindingKind.MATCH)
        for generic, scope in self._types.items():
            parameters = getattr(generic, "type_parameters", None)
            for parameter in parameters.params if parameters else ():
                self._bind(parameter.param.name.value, BindingKind.TYPE_PARAMETER, parameter, scope)
        for alias in tree.nodes(cst.TypeAlias):
            self._bind_target(alias.name, BindingKind.DECLARATION)

    def _bind_target(
        self,
        target: cst.BaseExpression,
        kind: BindingKind,
        value: cst.BaseExpression | None = None,
        scope: Scope | None = None,
    ) -> None:
        if type(target) is cst.Name:
            self._bind(target.value, kind, target, scope or self.of(target), value)
        elif isinstance(target, cst.StarredElement):
            self._bind_target(target.value, BindingKind.UNPACKING if value else kind)
        elif isinstance(target, (cst.Tuple, cst.List)):
            self._bind_elements(target, kind, value)

    def _bind_elements(self, target: cst.Tuple | cst.List, kind: BindingKind, value: cst.BaseExpression | None) -> None:
        elements = target.elements
        paired = (
            kind is BindingKind.ASSIGNMENT
            and isinstance(value, (cst.Tuple, cst.List))
            and len(value.elements) == len(elements)
            and not any(isinstance(item, cst.StarredElement) for item in (*elements, *value.elements))
        )
        for index, element in enumerate(elements):
            one = element if isinstance(element, cst.StarredElement) else element.value
            if paired and isinstance(value, (cst.Tuple, cst.List)):
                self._bind_target(one, kind, value.elements[index].value)
            else:
                self._bind_target(one, BindingKind.UNPACKING if kind is BindingKind.ASSIGNMENT else kind)

    def _bind(
        self,
        name: str,
        kind: BindingKind,
        node: cst.CSTNode,
        scope: Scope,
        value: cst.BaseExpression | None = None,
        target: str | None = None,
    ) -> None:
        owner = scope.owner(name)
        owner.bindings.setdefault(name, []).append(Binding(name, kind, node, owner, value, target))
