"""Where a class hands over to `nn.Module.__init__`, before which nothing can be registered."""

from __future__ import annotations

from pathlib import PurePath

import libcst as cst

from gradlint.walk import walk


def is_after_super(node: cst.CSTNode, method: cst.FunctionDef | None) -> bool:
    """Whether a node of a method runs after the base's `__init__`; in methods other than `__init__` it does."""
    if method is None or method.name.value != "__init__":
        return method is not None
    for each in walk(method.body):
        if each is node:
            return False
        if isinstance(each, cst.Call) and isinstance(each.func, cst.Attribute) and each.func.attr.value == "__init__":
            return True
    return False


def is_template(path: str) -> bool:
    """Whether a file is a `modular_*.py` of transformers: text that is unrolled, `super()` calls too, and never run."""
    return PurePath(path).name.startswith("modular_")
