"""Whether a file holds no `nn.Module`, said by `ast` before libcst, ten times as slow, parses it for rules of modules.

Only what is certain counts: where a base may be assigned to a name, or `ast` stops, the tree has to be asked.
"""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING, Final

from gradlint.bounds import is_too_long
from gradlint.names import canonical
from gradlint.semantics.module_class import is_module_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.semantics.project import ProjectIndex
    from gradlint.source import Source

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")


def is_module_free(source: Source, project: ProjectIndex) -> bool:
    """Whether the file is Python for certain, and none of its classes, nested ones included, can be an `nn.Module`."""
    text = source.text
    if ":=" in text or is_too_long(text):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    bases = _Bases(source)
    bases.read(tree)
    return bases.are_known() and not any(is_module_name(name, project) for name in bases.names(project))


class _Bases:
    """The bases of all classes of a file, and what may be behind their names."""

    def __init__(self, source: Source) -> None:
        package = source.module if source.is_package else source.module.rpartition(".")[0]
        self._package = package.split(".") if package else []
        self._bases: list[tuple[str, tuple[str, ...]]] = []
        self._imports: dict[str, set[str]] = {}
        self._assigned: set[str] = set()

    def read(self, tree: ast.Module) -> None:
        """Look at all statements, in whatever block they stand."""
        waiting: list[ast.AST] = [*tree.body]
        while waiting:
            statement = waiting.pop()
            if isinstance(statement, ast.ClassDef):
                self._bases += filter(None, map(_dotted, statement.bases))
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                self._read_import(statement)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                self._assigned.update(_bound(statement))
            for block in _BLOCKS:
                waiting += getattr(statement, block, ())

    def _read_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        base = self._from(statement) if isinstance(statement, ast.ImportFrom) else ""
        for alias in statement.names if base is not None else ():
            name = alias.name if alias.asname or base else alias.name.partition(".")[0]
            self._imports.setdefault(alias.asname or name, set()).add(f"{base}.{name}" if base else name)

    def _from(self, statement: ast.ImportFrom) -> str | None:
        if not statement.level:
            return statement.module
        kept = self._package[: len(self._package) - statement.level + 1]
        return ".".join([*kept, *([statement.module] if statement.module else [])]) if kept else None

    def are_known(self) -> bool:
        """Whether the names of all bases come from imports, classes, functions, arguments or nowhere."""
        return self._assigned.isdisjoint(first for first, _ in self._bases)

    def names(self, project: ProjectIndex) -> Iterator[str]:
        """The full names that the bases may have; those of the file's own classes are bases themselves."""
        for first, attributes in dict.fromkeys(self._bases):
            for imported in self._imports.get(first, ()):
                name = _offered(imported, project)
                for attribute in attributes:
                    name = _offered(f"{name}.{attribute}", project)
                yield name


def _offered(name: str, project: ProjectIndex) -> str:
    return canonical(project.resolve(canonical(name)))


def _dotted(base: ast.expr) -> tuple[str, tuple[str, ...]] | None:
    """The name a base begins with and its attributes; a call or the like is never known to be a module."""
    attributes: list[str] = []
    expression = base.value if isinstance(base, ast.Subscript) else base
    while isinstance(expression, ast.Attribute):
        attributes.insert(0, expression.attr)
        expression = expression.value
    return (expression.id, tuple(attributes)) if isinstance(expression, ast.Name) else None


def _bound(statement: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    """The names that an assignment binds, in tuples, too."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif not isinstance(target, ast.Attribute):
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))
