"""A file's facts from its libcst tree: the same as from `ast`, for files that the running Python cannot parse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.class_contents import class_contents
from gradlint.semantics.file_facts import FileFacts, init_texts
from gradlint.semantics.gradient_words import gradient_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.unit import Unit


def unit_facts(unit: Unit) -> FileFacts:
    """What a parsed file offers to others."""
    bindings = unit.names.scopes.module.bindings
    imports: dict[str, str] = {}
    for name, places in bindings.items():
        for place in places:
            if place.kind is BindingKind.IMPORT and place.target is not None:
                imports[name] = place.target
            elif place.kind is BindingKind.ASSIGNMENT and (full := unit.names.binding_name(place)):
                imports.setdefault(name, full)
    module = unit.source.module
    own = {f"{module}.{name}" for name in bindings}
    stars = [each for each in unit.tree.nodes(cst.ImportFrom) if isinstance(each.names, cst.ImportStar)]
    return FileFacts(
        module,
        imports,
        tuple(base for each in stars if (base := unit.names.scopes.import_base(each)) is not None),
        {one.node.name.value: class_contents(one, unit.names) for one in unit.classes.all if one.name in own},
        frozenset(name for name, places in bindings.items() if places[0].kind is BindingKind.FUNCTION),
        init_texts(unit.source.text, _functions(unit)),
        gradient_words(unit.source.text, _functions(unit)),
    )


def _functions(unit: Unit) -> Iterator[tuple[str, int, int]]:
    """The functions of the module with their first and last lines."""
    for name, places in unit.names.scopes.module.bindings.items():
        node = places[-1].node
        if places[0].kind is BindingKind.FUNCTION and isinstance(node, cst.FunctionDef):
            yield name, unit.positions.range(node.name).start.line, unit.positions.range(node).end.line
