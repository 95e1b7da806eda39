"""A module whose `__init__` registers layers without ever calling the base's `__init__`.

## What it does
Reports an `nn.Module` whose own `__init__` assigns layers or parameters to `self`, while nothing in the class calls an
`__init__` of a base. Silent for dataclasses and bodies that are only sketched with `...`.

## Why is this bad
The registries are made by `nn.Module.__init__`. Without it the first layer raises AttributeError: "cannot assign
module before Module.__init__() call".

## Example
```python
class Net(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(4, 4)
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
```

## Fix safety
Safe where `nn.Module` is the only base: making the class raises as it stands. Other bases may need arguments, and
there is no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.module_class import AttributeKind
from gradlint.semantics.super_init import is_template

if TYPE_CHECKING:
    from gradlint.semantics.module_class import Attribute, ModuleClass

_REGISTERED = (AttributeKind.LAYER, AttributeKind.PARAMETER)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every module class with an `__init__` of its own."""
    for owner in () if is_template(ctx.source.path) else ctx.classes.modules:
        method = owner.methods.get("__init__")
        if method is None or owner.node.decorators or "__new__" in owner.methods or _calls_an_init(owner, ctx):
            continue
        first = _first_registered(owner, method)
        if first is not None and not _is_sketch(method, ctx):
            ctx.report(
                owner.node,
                f"`{owner.node.name.value}.__init__` never calls super().__init__(): `self.{first.name} = ...` raises "
                "AttributeError (cannot assign module before Module.__init__() call)",
                fix=_fix(owner, method, ctx),
                related=[(first.node, "the first that cannot be registered")],
            )


def _calls_an_init(owner: ModuleClass, ctx: Context) -> bool:
    return any(node.attr.value == "__init__" for node in ctx.tree.below(owner.node, cst.Attribute))


def _first_registered(owner: ModuleClass, method: cst.FunctionDef) -> Attribute | None:
    places = [place for found in owner.attributes.values() for place in found]
    return next((place for place in places if place.method is method and place.kind in _REGISTERED), None)


def _is_sketch(method: cst.FunctionDef, ctx: Context) -> bool:
    return any(isinstance(node.value, cst.Ellipsis) for node in ctx.tree.below(method.body, cst.Expr))


def _fix(owner: ModuleClass, method: cst.FunctionDef, ctx: Context) -> Fix | None:
    documented = method.get_docstring(clean=False) is not None
    body = method.body.body[documented:] if isinstance(method.body, cst.IndentedBlock) else ()
    if owner.bases != ("torch.nn.Module",) or not body or isinstance(body[0], (cst.FunctionDef, cst.ClassDef)):
        return None
    return ctx.fix(Safety.SAFE, ctx.insert_line_above(body[0], "super().__init__()"))
