"""What the files of a project say to each other: their classes, bases, functions and re-exports.

The index holds plain data, made from each file once and safe to send between processes. Files are named by dotted
module names; `resolve` follows a full name through re-exports to where the thing is defined.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Final

from gradlint.semantics.class_facts import ClassFacts, read_class
from gradlint.semantics.gradient_words import gradient_words, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


_LONGEST_WAY: Final = 50  # re-exports of re-exports
# A call that fills a tensor in place.
_FILLING: Final = re.compile(r"(?:uniform|normal|orthogonal|constant|ones|zeros|eye|dirac|sparse|fill|zero)_\(")


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


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True)
class ProjectIndex:
    """The files of a project by module name, as one of them sees the others.

    `home` is the module that asks: what it defines itself is not looked for in the packages above it. `gives` says
    whether a file gives a name to an object from outside, as `model.temp = 1` does.
    """

    files: Mapping[str, FileFacts] = field(default_factory=dict)
    home: str | None = None
    gives: Callable[[str], bool] = _never

    @classmethod
    def of(cls, facts: Iterable[FileFacts]) -> ProjectIndex:
        """Index the facts of files."""
        return cls({file.module: file for file in facts})

    def resolve(self, name: str) -> str:
        """The name of the same thing where it is defined; unchanged when no file of the project re-exports it.

        A package that offers a function under the name of the function's module (`from .roi import roi`) does not make
        `pkg.roi.roi` a re-export of itself, and files that import from each other in a circle define nothing.
        """
        asked = name
        for _ in range(_LONGEST_WAY):
            below = self._step(name)
            if below == name or below.startswith(f"{name}."):
                return name
            name = below
        return asked

    def _step(self, name: str) -> str:
        module, rest = self._split(name)
        if module is None or not rest:
            return name
        first, _, below = rest.partition(".")
        file = self.files[module]
        if first in file.classes or first in file.functions:
            return name
        if first in file.imports:
            return ".".join(filter(None, (file.imports[first], below)))
        for origin in file.star_imports:
            if origin in self.files and self._defines(origin, first):
                return ".".join(filter(None, (origin, rest)))
        return name

    def _defines(self, module: str, name: str) -> bool:
        file = self.files[module]
        return name in file.classes or name in file.functions or name in file.imports

    def _split(self, name: str) -> tuple[str | None, str]:
        module = name
        while module not in self.files:
            module = module.rpartition(".")[0] if module != self.home else ""
            if not module:
                return None, name
        return module, name[len(module) + 1 :]

    def find_class(self, name: str) -> ClassFacts | None:
        """The class of a full name, through re-exports."""
        module, rest = self._split(self.resolve(name))
        return self.files[module].classes.get(rest) if module is not None else None

    def find_init(self, name: str) -> tuple[str, Mapping[str, str]] | None:
        """The text of the init function of a full name, and the imports of its file."""
        module, rest = self._split(self.resolve(name))
        if module is None or rest not in self.files[module].inits:
            return None
        return self.files[module].inits[rest], self.files[module].imports

    def gradient_words(self, name: str) -> tuple[str, ...] | None:
        """What the function of a full name says of gradients; None where it is no function of the project."""
        module, rest = self._split(self.resolve(name))
        if module is None or rest not in self.files[module].functions:
            return None
        return self.files[module].gradient_words.get(rest, ())


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
    if "torch" not in text or "_(" not in text or _FILLING.search(text) is None:
        return {}
    lines = lines_of(text)
    several = {name: "\n".join(lines[first - 1 : last]) + "\n" for name, first, last in functions}
    return {name: dedent(each) for name, each in several.items() if _FILLING.search(each)}


def _top_level(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for field_name in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(statement, field_name, ()))
            for handler in getattr(statement, "handlers", ()):
                yield from _top_level(handler.body)
