"""What one file of a project says to the others: its imports, classes and functions, read from `ast`."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING

from gradlint.semantics.class_facts import ClassFacts, read_class
from gradlint.semantics.gradient_words import gradient_words, lines_of
from gradlint.semantics.outline import fills, may_fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class FileFacts:
    """What one file offers to others: names it imports (name to full name), its classes and functions.

    `inits` holds the text of the functions that fill tensors in place, `gradient_words` what others say of gradients.
    """

    module: str
    imports: Mapping[str, str] = field(default_factory=dict)
    star_imports: tuple[str, ...] = ()
    classes: Mapping[str, ClassFacts] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    inits: Mapping[str, str] = field(default_factory=dict)
    gradient_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def file_facts(text: str, module: str, *, is_package: bool = False) -> FileFacts | None:
    """The facts of a file, from `ast`; None where the running Python cannot parse it (ask libcst then)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _Reader(module, is_package).read(tree, text)


class _Reader:
    def __init__(self, module: str, is_package: bool) -> None:
        self._module = module
        self._package = module if is_package else module.rpartition(".")[0]
        self._imports: dict[str, str] = {}
        self._stars: list[str] = []

    def read(self, tree: ast.Module, text: str) -> FileFacts:
        top = list(_top_level(tree.body))
        for statement in top:
            self._read_import(statement)
        definitions = [statement for statement in top if isinstance(statement, ast.ClassDef)]
        own = {definition.name for definition in definitions}
        functions = [statement for statement in top if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))]
        places = [(one.name, one.lineno, one.end_lineno or one.lineno) for one in functions]
        return FileFacts(
            self._module,
            self._imports,
            tuple(self._stars),
            {
                one.name: read_class(one, f"{self._module}.{one.name}", lambda x: self._full(x, own))
                for one in definitions
            },
            frozenset(function.name for function in functions),
            init_texts(text, places),
            gradient_words(text, places),
        )

    def _read_import(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                first = alias.name.partition(".")[0]
                self._imports[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(statement, ast.ImportFrom):
            base = self._base(statement)
            for alias in statement.names if base is not None else ():
                if alias.name == "*":
                    self._stars.append(base or "")
                else:
                    self._imports[alias.asname or alias.name] = f"{base}.{alias.name}"
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, full = statement.targets[0], self._full(statement.value, set())
            if isinstance(target, ast.Name) and full:
                self._imports.setdefault(target.id, full)

    def _base(self, statement: ast.ImportFrom) -> str | None:
        if not statement.level:
            return statement.module
        package = self._package.split(".") if self._package else []
        kept = package[: len(package) - statement.level + 1]
        return ".".join([*kept, *([statement.module] if statement.module else [])]) if kept else None

    def _full(self, expression: ast.expr, own: set[str]) -> str | None:
        if isinstance(expression, ast.Subscript):
            return self._full(expression.value, own)
        if isinstance(expression, ast.Attribute):
            base = self._full(expression.value, own)
            return base and f"{base}.{expression.attr}"
        if isinstance(expression, ast.Name):
            local = f"{self._module}.{expression.id}" if expression.id in own else None
            return local or self._imports.get(expression.id)
        return None


def init_texts(text: str, functions: Iterable[tuple[str, int, int]]) -> dict[str, str]:
    """The text of each function (name, first and last line) that calls a function of `torch.nn.init` or the like."""
    if not may_fill(text):
        return {}
    lines = lines_of(text)
    several = {name: "\n".join(lines[first - 1 : last]) + "\n" for name, first, last in functions}
    return {name: dedent(each) for name, each in several.items() if fills(each)}


def _top_level(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for field_name in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(statement, field_name, ()))
            for handler in getattr(statement, "handlers", ()):
                yield from _top_level(handler.body)
