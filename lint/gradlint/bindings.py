"""Fills the scopes of a file: every statement and expression that opens a scope or binds a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst
from libcst.helpers import get_full_name_for_node

from gradlint.scopes import Binding, BindingKind, Scope, ScopeKind
from gradlint.walk import children

if TYPE_CHECKING:
    from gradlint.walk import Tree

_COMPREHENSIONS: Final = (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)
_KINDS: Final[dict[type[cst.CSTNode], ScopeKind]] = {
    cst.FunctionDef: ScopeKind.FUNCTION,
    cst.ClassDef: ScopeKind.CLASS,
    cst.Lambda: ScopeKind.LAMBDA,
    **dict.fromkeys(_COMPREHENSIONS, ScopeKind.COMPREHENSION),
}


class Scopes:
    """The scopes of one file. `module` is the file's dotted name, by which relative imports become absolute."""

    def __init__(self, tree: Tree, module: str = "__main__", *, is_package: bool = False) -> None:
        self._tree = tree
        self._package = module if is_package else module.rpartition(".")[0]
        self.module = Scope(ScopeKind.MODULE, tree.module, None)
        self._own: dict[cst.CSTNode, Scope] = {tree.module: self.module}
        self._types: dict[cst.CSTNode, Scope] = {}
        self._by_place = [self.module] * len(tree)
        self._open()
        self._declare()
        self._bind_all()

    def of(self, node: cst.CSTNode) -> Scope:
        """The scope in which a node is evaluated (for a function or class: in which it is defined)."""
        place = self._tree.find(node)
        return self.module if place is None else self._by_place[place]

    def let_go(self) -> None:
        """Forget the bindings: they and their scopes hold each other, and with them the whole tree."""
        for scope in (*self._own.values(), *self._types.values()):
            scope.bindings.clear()

    def inside(self, node: cst.CSTNode) -> Scope:
        """The scope that a module, class, function, lambda or comprehension opens."""
        return self._own[node]

    def _open(self) -> None:
        # What is outside comes first in the text and fills all that is in it; what is inside then takes its part.
        kinds: tuple[type[cst.CSTNode], ...] = (*_KINDS, cst.TypeAlias)
        opening = [node for kind in kinds for node in self._tree.nodes(kind)]
        for node in sorted(opening, key=self._tree.place):
            around = self.of(node)
            if getattr(node, "type_parameters", None) is not None:
                self._types[node] = around = Scope(ScopeKind.TYPES, node, around)
                self._fill(around, *_seeing_types(node, self._tree))
            kind = _KINDS.get(type(node))
            if kind is not None:
                self._own[node] = own = Scope(kind, node, around)
                if isinstance(node, (cst.FunctionDef, cst.ClassDef, cst.Lambda)):
                    self._fill(own, node.body)
                elif isinstance(node, _COMPREHENSIONS):
                    self._fill(own, *children(node))
                    self._fill(around, node.for_in.iter)

    def _fill(self, scope: Scope, *parts: cst.CSTNode) -> None:
        for part in parts:
            start, end = self._tree.span(part)
            self._by_place[start:end] = [scope] * (end - start)

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


def _seeing_types(generic: cst.CSTNode, tree: Tree) -> list[cst.CSTNode]:
    """The parts of a generic class, function or alias that see its type parameters; defaults do not, bodies do."""
    if isinstance(generic, cst.FunctionDef):
        outside = (*generic.decorators, generic.name, generic.params)
        inside = [each for each in children(generic) if each not in outside]
        return [*inside, *tree.below(generic.params, cst.Annotation)]
    named = (getattr(generic, "name", None), *getattr(generic, "decorators", ()))
    return [each for each in children(generic) if each not in named]
