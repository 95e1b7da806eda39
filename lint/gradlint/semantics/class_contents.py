"""The facts of a class of a parsed file: the same as `class_facts` reads from `ast`, from the libcst tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.semantics.class_facts import (
    COMPUTING,
    HOLDING,
    LOOKING,
    REGISTERING,
    ClassFacts,
    is_class_name,
    notes_only,
)

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass


def class_contents(one: ModuleClass, names: Names) -> ClassFacts:
    """What a class of the file says."""
    bound = frozenset(names.scopes.inside(one.node).bindings)
    reader = _Instances(one.node, names)
    for method in one.methods.values():
        reader.read(method)
    return ClassFacts(
        one.name,
        one.bases,
        frozenset(one.methods),
        frozenset(reader.attributes),
        bound,
        frozenset(reader.made),
        reader.dynamic
        or bool(COMPUTING & bound)
        or bool(one.node.keywords)
        or not all(notes_only(_last_name(each.decorator)) for each in one.node.decorators),
    )


def _last_name(decorator: cst.BaseExpression) -> str:
    named = decorator.func if isinstance(decorator, cst.Call) else decorator
    last = named.attr if isinstance(named, cst.Attribute) else named
    return last.value if isinstance(last, cst.Name) else ""


class _Instances:
    """Gathers what methods do to `self`."""

    def __init__(self, owner: cst.ClassDef, names: Names) -> None:
        self._owner, self._names = owner, names
        self.attributes: set[str] = set()
        self.made: set[str] = set()
        self.dynamic = False

    def read(self, method: cst.FunctionDef) -> None:
        tree = self._names.tree
        for read in tree.below(method, cst.Attribute):
            if read.attr.value == "__dict__" and self._is_self(read.value):
                self.dynamic = True
        for call in tree.below(method, cst.Call):
            self._read_call(call)
        for assign in tree.below(method, cst.Assign):
            self._read_assignment(assign)
        for kind in (cst.AnnAssign, cst.AugAssign, cst.For, cst.CompFor):
            for setting in tree.below(method, kind):
                assert isinstance(setting, (cst.AnnAssign, cst.AugAssign, cst.For, cst.CompFor))
                self._store(setting.target)
        for alias in tree.below(method, cst.AsName):
            self._store(alias.name)

    def _is_self(self, value: cst.CSTNode) -> bool:
        return self._names.self_class(value) is self._owner

    def _store(self, target: cst.CSTNode) -> None:
        if type(target) is cst.Attribute and self._is_self(target.value):
            self.attributes.add(target.attr.value)
        elif isinstance(target, (cst.Tuple, cst.List)):
            for element in target.elements:
                self._store(element.value)

    def _read_call(self, call: cst.Call) -> None:
        function = call.func
        given = [each.value for each in call.args if not each.star and each.keyword is None]
        if type(function) is cst.Name and function.value == "setattr" and given and self._is_self(given[0]):
            self._register(given[1:])
        elif type(function) is cst.Attribute and function.attr.value in REGISTERING and self._is_self(function.value):
            self._register(given)
        elif any(self._is_self(each.value) for each in call.args if each.star != "*"):
            harmless = isinstance(function, cst.Name) and function.value in LOOKING
            dunder = isinstance(function, cst.Attribute) and function.attr.value.startswith("__")
            self.dynamic = self.dynamic or not (harmless or dunder)

    def _register(self, given: list[cst.BaseExpression]) -> None:
        name = given[0].evaluated_value if given and isinstance(given[0], cst.SimpleString) else None
        if isinstance(name, str):
            self.attributes.add(name)
            if len(given) > 1:
                self._made_by(given[1])
        else:
            self.dynamic = True

    def _read_assignment(self, assign: cst.Assign) -> None:
        if self._is_self(assign.value):
            self.dynamic = True
        for each in assign.targets:
            self._store(each.target)
            if isinstance(each.target, cst.Attribute) and self._is_self(each.target.value):
                self._made_by(assign.value)

    def _made_by(self, value: cst.BaseExpression) -> None:
        name = self._names.full_name(value.func) if isinstance(value, cst.Call) else None
        if name is None:
            return
        inside = self._names.tree.below(value, cst.Call) if name in HOLDING else ()
        found = (name, *(self._names.full_name(one.func) for one in inside))
        self.made.update(each for each in found if each and is_class_name(each))
