"""A layer or parameter assigned before `super().__init__()`.

## What it does
Reports assignments of layers and parameters to `self`, and `register_buffer` and `register_parameter`, that stand
above the call of the base's `__init__` in the `__init__` of an `nn.Module`. Plain values may stand there. The
`modular_*.py` of transformers, which are templates and never run, stay silent.

## Why is this bad
The registries are made by `nn.Module.__init__`. Before it torch raises AttributeError: "cannot assign module before
Module.__init__() call".

## Example
```python
class Net(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(4, 4)
        super().__init__()
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
```

## Fix safety
Safe where the call has no arguments and is a line of `__init__` itself: it moves up, and the class raises as it
stands. Otherwise there is no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
- https://github.com/pyg-team/pytorch_geometric/issues/681
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Fix, Position, Range, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.module_class import AttributeKind
from gradlint.semantics.super_init import is_template
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.semantics.module_class import Attribute, ModuleClass

_REGISTERED = (AttributeKind.LAYER, AttributeKind.PARAMETER, AttributeKind.BUFFER)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every module class with an `__init__` of its own."""
    for owner in () if is_template(ctx.source.path) else ctx.classes.modules:
        method = owner.methods.get("__init__")
        line = _super_line(method, ctx) if method is not None else None
        if method is None or line is None:
            continue
        early = _before(owner, method, line)
        for place in early:
            fix = _fix(method, line, ctx) if place is early[0] else None
            what = "register" if place.kind is AttributeKind.BUFFER else "assign"
            ctx.report(
                place.node,
                f"`self.{place.name}` comes before super().__init__(): torch raises AttributeError (cannot {what} "
                f"{place.kind.value if what == 'register' else 'module or parameter'} before Module.__init__() call)",
                fix=fix,
                related=[(line, "the call that must come first")],
            )


def _super_line(method: cst.FunctionDef, ctx: Context) -> cst.SimpleStatementLine | None:
    """The line of `__init__` itself that first calls the base's; None when one call stands deeper."""
    for node in ctx.tree.walk(method.body):
        if isinstance(node, cst.Attribute) and node.attr.value == "__init__":
            line = ctx.tree.enclosing(node, cst.SimpleStatementLine)
            top = line is not None and ctx.tree.parent(line) is method.body
            return line if top else None
    return None


def _before(owner: ModuleClass, method: cst.FunctionDef, line: cst.SimpleStatementLine) -> list[Attribute]:
    above = set()
    for node in walk(method.body):
        if node is line:
            break
        above.add(node)
    places = [place for found in owner.attributes.values() for place in found]
    return [place for place in places if place.node in above and place.kind in _REGISTERED]


def _fix(method: cst.FunctionDef, line: cst.SimpleStatementLine, ctx: Context) -> Fix | None:
    documented = method.get_docstring(clean=False) is not None
    body = method.body.body[documented:]
    call = ctx.code(line).strip()
    own = ctx.range(line)
    whole = Range(Position(own.start.line, 1), Position(own.start.line + 1, 1))
    alone = len(line.body) == 1 and own.start.line == own.end.line and "#" not in ctx.source.line(own.start.line)
    if not call.endswith("super().__init__()") or not alone or isinstance(body[0], (cst.FunctionDef, cst.ClassDef)):
        return None
    return ctx.fix(Safety.SAFE, ctx.insert_line_above(body[0], "super().__init__()"), Edit(whole, ""))
