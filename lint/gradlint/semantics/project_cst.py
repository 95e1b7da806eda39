"""A file's facts from its libcst tree: the same as from `ast`, for files that the running Python cannot parse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.project import ClassFacts, FileFacts
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.semantics.module_class import ModuleClass
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
        {one.node.name.value: _class_facts(one, unit) for one in unit.classes.all if one.name in own},
        frozenset(name for name, places in bindings.items() if places[0].kind is BindingKind.FUNCTION),
    )


def _class_facts(one: ModuleClass, unit: Unit) -> ClassFacts:
    targets = [
        target
        for method in one.methods.values()
        for node in walk(method)
        for target in _targets(node)
        if unit.names.self_class(target.value) is one.node
    ]
    attributes = frozenset(target.attr.value for target in targets)
    return ClassFacts(one.name, one.bases, frozenset(one.methods), attributes)


def _targets(node: cst.CSTNode) -> list[cst.Attribute]:
    """The attributes that a statement assigns, also within a tuple."""
    if not isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign)):
        return []
    waiting: list[cst.CSTNode] = [node.target]
    found: list[cst.Attribute] = []
    while waiting:
        target = waiting.pop()
        if isinstance(target, cst.Attribute):
            found.append(target)
        elif isinstance(target, (cst.Tuple, cst.List)):
            waiting.extend(element.value for element in target.elements)
    return found
