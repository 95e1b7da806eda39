"""Init functions of other files of the project: what they fill in the modules that this file gives them.

The index holds the text of such a function; it is read here together with the imports it uses. Only arguments that are
written out count: what another file calls `STD` is not looked up.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.names import Names
from gradlint.parse import parse
from gradlint.semantics.init_function import Handover, InitCall, InitFunctions, Subject
from gradlint.semantics.module_class import ModuleClasses
from gradlint.source import Source
from gradlint.walk import Tree, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gradlint.semantics.project import ProjectIndex


def foreign_calls(tree: Tree, names: Names, project: ProjectIndex) -> Iterator[InitCall]:
    """The init calls of other files that reach modules of this one, by `model.apply(init)` or `init(model)`."""
    known: dict[str, tuple[InitCall, ...]] = {}
    for call in tree.nodes(cst.Call):
        handed = _handed(call, names)
        if handed is None:
            continue
        name, module = handed
        if name not in known:
            known[name] = _calls_of(name, project)
        given = Handover(call, module, name)
        yield from (replace(each, given=given, function=None) for each in known[name])


def _handed(call: cst.Call, names: Names) -> tuple[str, cst.BaseExpression] | None:
    """The full name of the function that gets a module, and the module."""
    first = call.args[0].value if len(call.args) == 1 and not call.args[0].star else None
    if first is None:
        return None
    if isinstance(call.func, cst.Attribute) and call.func.attr.value == "apply":
        if isinstance(first, cst.Call) and names.full_name(first.func) == "functools.partial" and first.args:
            first = first.args[0].value
        name = names.full_name(first)
        return (name, call.func.value) if name is not None else None
    name = names.full_name(call.func)
    return (name, first) if name is not None else None


def _calls_of(name: str, project: ProjectIndex) -> tuple[InitCall, ...]:
    found = project.find_init(name)
    if found is None:
        return ()
    text, imports = found
    source = Source("init.py", _prelude(text, imports) + text)
    tree = Tree(parse(source))
    names = Names(tree, elsewhere=project.resolve)
    inits = InitFunctions(tree, names, ModuleClasses(tree, names, project))
    return tuple(call for call in inits.calls if call.subject is Subject.PARAMETER and _is_written_out(call))


def _prelude(text: str, imports: Mapping[str, str]) -> str:
    lines = []
    for name, full in sorted(imports.items()):
        if name in text and full:
            base, _, last = full.rpartition(".")
            lines.append(f"from {base} import {last} as {name}\n" if base else f"import {full} as {name}\n")
    return "".join(lines)


def _is_written_out(call: InitCall) -> bool:
    """Whether no argument but the tensor names anything."""
    others = [given.value for given in call.node.args if given.value is not call.tensor]
    return not any(isinstance(node, (cst.Name, cst.Call)) for value in others for node in walk(value))
