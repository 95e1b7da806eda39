"""What one class of a project says to other files, read from `ast`: bases, methods, what its instances hold."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Calls that take a bare `self` and give it no attribute.
LOOKING: Final = words("super isinstance hasattr getattr print len type id repr str issubclass hash dir iter list next")
REGISTERING: Final = words("add_module register_module register_buffer register_parameter")
COMPUTING: Final = words("__getattr__ __getattribute__ __setattr__ __slots__ __new__")
HOLDING: Final = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})

# Decorators whose names say that they note a class or describe it; others may give its instances more.
_NOTING: Final = re.compile(
    r"regist|dataclass|final|doc|deprecat|experimental|export|kernel|script|require", re.IGNORECASE
)

_LEAVES: Final = frozenset({ast.Name, ast.Constant, str, int, bool, type(None)})
_HOLD_NO_NODES: Final = words("ctx op ops id attr arg name names module level asname kind type_comment conversion rest")
_Method = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class ClassFacts:
    """One class of the project, by full name: bases (full names, None where unknown), methods, `self.x` names.

    `names` are bound by the class's body, methods too. `made` are the full names of what `self.x = F(...)` calls, in
    containers also of what those hold. `dynamic`: its instances may have attributes that are not listed.
    """

    name: str
    bases: tuple[str | None, ...] = ()
    methods: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    dynamic: bool = False


def read_class(definition: ast.ClassDef, name: str, full: Callable[[ast.expr], str | None]) -> ClassFacts:
    """The facts of a class statement; `full` gives the full name of an expression of its file."""
    methods = [item for item in definition.body if isinstance(item, _Method)]
    bound = frozenset(_bound(definition.body))
    reader = _Instances(full)
    for method in methods:
        reader.read(method)
    return ClassFacts(
        name,
        tuple(full(base) for base in definition.bases),
        frozenset(method.name for method in methods),
        frozenset(reader.attributes),
        bound,
        frozenset(reader.made),
        reader.dynamic
        or bool(COMPUTING & bound)
        or bool(definition.keywords)
        or not all(notes_only(_last_name(each)) for each in definition.decorator_list),
    )


def notes_only(decorator: str) -> bool:
    """Whether a decorator of a class, by its last name, leaves the class as it is."""
    return _NOTING.search(decorator) is not None


def _last_name(decorator: ast.expr) -> str:
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    return named.attr if isinstance(named, ast.Attribute) else getattr(named, "id", "")


class _Instances:
    """Gathers what methods do to `self`."""

    def __init__(self, full: Callable[[ast.expr], str | None]) -> None:
        self._full = full
        self.attributes: set[str] = set()
        self.made: set[str] = set()
        self.dynamic = False

    def read(self, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        first = [*method.args.posonlyargs, *method.args.args][:1]
        unbound = any(_is_name(each, "staticmethod") or _is_name(each, "classmethod") for each in method.decorator_list)
        if not first or unbound:
            return
        instance = first[0].arg
        for node in _below(method):
            if isinstance(node, ast.Attribute):
                if _is_name(node.value, instance):
                    if isinstance(node.ctx, ast.Store):
                        self.attributes.add(node.attr)
                    self.dynamic = self.dynamic or node.attr == "__dict__"
            elif isinstance(node, ast.Call):
                self._read_call(node, instance)
            elif isinstance(node, ast.Assign):
                self._read_assignment(node, instance)

    def _read_call(self, call: ast.Call, instance: str) -> None:
        function, given = call.func, call.args
        if isinstance(function, ast.Name) and function.id == "setattr" and given and _is_name(given[0], instance):
            self._register(given[1:])
        elif (
            isinstance(function, ast.Attribute) and function.attr in REGISTERING and _is_name(function.value, instance)
        ):
            self._register(given)
        elif any(_is_name(each, instance) for each in (*given, *(each.value for each in call.keywords))):
            harmless = isinstance(function, ast.Name) and function.id in LOOKING
            harmless = harmless or (isinstance(function, ast.Attribute) and function.attr.startswith("__"))
            self.dynamic = self.dynamic or not harmless

    def _register(self, given: list[ast.expr]) -> None:
        name = given[0].value if given and isinstance(given[0], ast.Constant) else None
        if isinstance(name, str):
            self.attributes.add(name)
            self._made_by(given[1]) if len(given) > 1 else None
        else:
            self.dynamic = True

    def _read_assignment(self, assign: ast.Assign, instance: str) -> None:
        if _is_name(assign.value, instance):
            self.dynamic = True
        for target in assign.targets:
            if isinstance(target, ast.Attribute) and _is_name(target.value, instance):
                self._made_by(assign.value)

    def _made_by(self, value: ast.expr) -> None:
        name = self._full(value.func) if isinstance(value, ast.Call) else None
        if name is None:
            return
        inside = (node for node in ast.walk(value) if isinstance(node, ast.Call)) if name in HOLDING else ()
        self.made.update(
            each for each in (name, *(self._full(one.func) for one in inside)) if each and is_class_name(each)
        )


def _below(root: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it but names and constants, in no order: `ast.walk` takes several times as long."""
    stack: list[ast.AST] = [root]
    while stack:
        node = stack.pop()
        yield node
        for field in node._fields:
            if field in _HOLD_NO_NODES:
                continue
            value: Any = getattr(node, field, None)
            several: list[ast.AST] = value if isinstance(value, list) else [value]
            stack += [each for each in several if type(each) not in _LEAVES]


def is_class_name(name: str) -> bool:
    """Whether a full name is written like that of a class."""
    return name.rpartition(".")[2][:1].isupper()


def _is_name(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that the statements of a class's body bind."""
    for statement in body:
        if isinstance(statement, (*_Method, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        else:
            for target in _targets(statement):
                names = (node for node in ast.walk(target) if isinstance(node, ast.Name))
                yield from (node.id for node in names if isinstance(node.ctx, ast.Store))
            for part in ("body", "orelse", "finalbody"):
                yield from _bound(getattr(statement, part, ()))
            for handler in getattr(statement, "handlers", ()):
                yield from _bound(handler.body)


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    if isinstance(statement, (ast.AnnAssign, ast.AugAssign, ast.For)):
        return [statement.target]
    if isinstance(statement, ast.With):
        return [item.optional_vars for item in statement.items if item.optional_vars is not None]
    return []
