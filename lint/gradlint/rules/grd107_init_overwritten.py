"""A tensor that is initialised twice in a row, so that the first time is lost.

## What it does
Reports a second init call on the same tensor in the same block of statements, with nothing between them but other
init calls. Different branches, and values set after other work, stay silent.

## Why is this bad
The second call overwrites all that the first wrote. It is nearly always a copied line in which `weight` was not
changed to `bias`: after `ones_(m.weight); zeros_(m.weight)` the weight is 0, the layer gives its bias for every
input, and the bias keeps torch's default.

## Example
```python
norm = nn.BatchNorm2d(8)
nn.init.constant_(norm.weight, 1)
nn.init.constant_(norm.weight, 0)
```

## Use instead
```python
norm = nn.BatchNorm2d(8)
nn.init.constant_(norm.weight, 1)
nn.init.constant_(norm.bias, 0)
```

## Fix safety
Unsafe, and only where the second call sets a weight to a constant and the bias is not set in the same block.

## References
- https://docs.pytorch.org/docs/stable/nn.init.html
- https://github.com/kazuto1011/deeplab-pytorch/issues/44
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_CONSTANT = ("constant_", "zeros_", "ones_", "fill_", "zero_")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at each run of init calls that are neighbours in one block."""
    by_line: dict[cst.CSTNode, InitCall] = {
        line: call for call in ctx.inits.calls if (line := _own_line(call, ctx)) is not None
    }
    seen: set[cst.CSTNode] = set()
    for own in by_line:
        block = ctx.tree.parent(own)
        if block in seen or not isinstance(block, (cst.IndentedBlock, cst.Module)):
            continue
        seen.add(block)
        run: list[InitCall] = []
        for statement in block.body:
            if statement in by_line:
                run.append(by_line[statement])
            else:
                _look(run, ctx)
                run = []
        _look(run, ctx)


def _own_line(call: InitCall, ctx: Context) -> cst.SimpleStatementLine | None:
    """The line of a call that is a statement by itself."""
    line = ctx.tree.parent(ctx.tree.parent(call.node) or call.node)
    alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
    return line if alone and isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Expr) else None


def _look(run: list[InitCall], ctx: Context) -> None:
    first: dict[str, InitCall] = {}
    for call in run:
        tensor = ctx.code(call.tensor).removesuffix(".data") if call.tensor is not None else ""
        if "(" in tensor or not tensor:
            continue
        if tensor in first:
            ctx.report(
                call.node,
                f"`{tensor}` is initialised for the second time: 0 of what `{first[tensor].scheme}` wrote is left; "
                "remove one, or name the other tensor",
                fix=_fix(call, tensor, run, ctx),
                related=[(first[tensor].node, "the first time")],
            )
        first[tensor] = call


def _fix(call: InitCall, tensor: str, run: list[InitCall], ctx: Context) -> Fix | None:
    bias = tensor.removesuffix("weight") + "bias"
    set_already = any(call.tensor is not None and ctx.code(call.tensor).startswith(bias) for call in run)
    if not tensor.endswith(".weight") or set_already or call.scheme not in _CONSTANT or call.tensor is None:
        return None
    return ctx.fix(Safety.UNSAFE, ctx.replace(call.tensor, ctx.code(call.tensor).replace(tensor, bias, 1)))
