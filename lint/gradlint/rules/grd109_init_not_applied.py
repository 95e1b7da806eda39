"""Initialisation code that initialises nothing.

## What it does
Reports four ways of it: an initialisation function that nothing in the file mentions, where nothing else can use it (a
nested function, a private method, a function of a program); `self.apply(init)` or a loop over `self.modules()` in an
`__init__` that has made no layer yet; an init call that fills a copy (`normal_(m.weight.clone())`); and an applied
function that returns a new tensor instead of filling the one it was given.

## Why is this bad
Nothing fails: the layers keep torch's default initialisation. `apply` visits the modules that exist when it is
called and ignores what the function returns.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.apply(self._init)
        self.fc = nn.Linear(64, 10)

    def _init(self, m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
```

## Fix safety
Unsafe: the network starts from other weights than before. The call is moved below the last layer, or the copy is
taken away; a function that is never applied has no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.apply
- https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Fix, Level, Position, Range, Safety
from gradlint.rule import Context, checks
from gradlint.rules.unapplied import (
    EarlyInit,
    early_inits,
    is_never_used,
    makes_a_new_tensor,
    may_be_used_elsewhere,
)

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_WEIGHTS = ("weight", "bias")


@checks(cst.Module)
def unused(_: cst.Module, ctx: Context) -> None:
    """An init function that nothing mentions."""
    for function in ctx.inits.functions:
        fills = [call for call in function.calls if call.attribute in _WEIGHTS]
        node = function.node
        if not fills or not isinstance(node, cst.FunctionDef) or not is_never_used(node, ctx):
            continue
        if not may_be_used_elsewhere(function, ctx):
            name = node.name.value
            ctx.report(
                node,
                f"`{name}` is never applied, so every layer keeps torch's default initialisation; call"
                f" `.apply({name})` on the model after its layers are made",
            )


@checks(cst.Module)
def early(_: cst.Module, ctx: Context) -> None:
    """`self.apply` before the layers are made."""
    for found in early_inits(ctx):
        missed, before = len(found.after), len(found.before)
        ctx.report(
            found.node,
            f"initialises {before} of the {before + missed} layers of this class: the others are made below it; move it"
            " after the last layer",
            level=Level.INFO if before else None,
            fix=_moved(found, ctx),
            related=[(layer.node, "made after the initialisation") for layer in found.after],
        )


@checks(cst.Module)
def copies(_: cst.Module, ctx: Context) -> None:
    """An init call that fills a copy, or an applied function that makes a new tensor."""
    for call in ctx.inits.calls:
        if (source := _copied(call, ctx)) is not None:
            assert call.tensor is not None
            ctx.report(
                call.node,
                f"fills a copy that is thrown away: `{ctx.code(source)}` itself keeps its values",
                fix=ctx.fix(Safety.UNSAFE, ctx.replace(call.tensor, ctx.code(source))),
            )
    for node, places in ctx.inits.applications.items():
        made = makes_a_new_tensor(node, ctx)
        if made is not None:
            ctx.report(
                made,
                "`apply` ignores what its function returns: this new tensor is thrown away and the layer"
                " keeps its values; fill the parameter in place",
                related=[(place.node, "applied here") for place in places],
            )


def _copied(call: InitCall, ctx: Context) -> cst.BaseExpression | None:
    """The tensor whose copy a call fills, as a statement of its own."""
    tensor = call.tensor
    is_copy = isinstance(tensor, cst.Call) and isinstance(tensor.func, cst.Attribute) and not tensor.args
    if not is_copy or not isinstance(tensor, cst.Call) or not isinstance(tensor.func, cst.Attribute):
        return None
    alone = isinstance(ctx.tree.parent(call.node), cst.Expr)
    source = tensor.func.value
    named = isinstance(source, cst.Attribute) and re.fullmatch(r"weight|bias|data", source.attr.value)
    return source if alone and named and tensor.func.attr.value == "clone" else None


def _moved(found: EarlyInit, ctx: Context) -> Fix | None:
    """Move the statement below the last layer, where both stand in one block."""
    statement, last = ctx.tree.statement(found.node), ctx.tree.statement(found.after[-1].node)
    block = ctx.tree.parent(statement)
    simple = isinstance(statement, cst.SimpleStatementLine)
    if not simple or block is not ctx.tree.parent(last) or not isinstance(block, cst.IndentedBlock):
        return None
    lines, target = ctx.range(statement), ctx.range(last).end.line
    own = Range(Position(lines.start.line, 1), Position(lines.end.line + 1, 1))
    if target >= len(ctx.source.line_starts):
        return None
    below = Position(target + 1, 1)
    return ctx.fix(Safety.UNSAFE, Edit(own, ""), Edit(Range(below, below), ctx.source.slice(own)))
