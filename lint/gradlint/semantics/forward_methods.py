"""Which methods run when a module is called: `forward`, and what it calls on `self`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses


def running(owner: ModuleClass, classes: ModuleClasses, names: Names) -> list[cst.FunctionDef]:
    """`forward` of a class and the methods of its own that it reaches, without `__init__`."""
    methods: dict[str, cst.FunctionDef] = {}
    for one in reversed(classes.lineage(owner)):
        methods.update(one.methods)
    found: list[cst.FunctionDef] = []
    waiting = ["forward"]
    while waiting:
        method = methods.get(waiting.pop())
        if method is None or method in found or method.name.value == "__init__":
            continue
        found.append(method)
        calls = names.tree.below(method.body, cst.Call)
        waiting += [name for call in calls if (name := names.self_attribute(call.func)) is not None]
    own = set(owner.methods.values())
    return [method for method in found if method in own]
