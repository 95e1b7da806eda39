"""Whose gradients a file switches off: `p.requires_grad = False`, `net.requires_grad_(False)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import constant
from gradlint.semantics.layer_values import argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.walk import Tree


def switched_off(tree: Tree, names: Names) -> Iterator[cst.Assign | cst.Call]:
    """The statements and calls that do so, or may: a computed value is not known to be True."""
    for assign in tree.nodes(cst.Assign):
        targets = (target.target for target in assign.targets)
        told = any(isinstance(target, cst.Attribute) and target.attr.value == "requires_grad" for target in targets)
        if told and constant(assign.value, names) is not True:
            yield assign
    for call in tree.nodes(cst.Call):
        method = call.func if isinstance(call.func, cst.Attribute) else None
        if method is None or method.attr.value != "requires_grad_":
            continue
        given = argument(call, 0, "requires_grad")
        if given is not None and constant(given, names) is not True:
            yield call
