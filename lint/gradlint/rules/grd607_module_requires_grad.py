"""`requires_grad` set on a module, which freezes nothing.

## What it does
Reports assignments to `.requires_grad` of what is known to be a module: an attribute that is a layer, a variable, an
element of a ModuleList, the variable of a loop over modules.

## Why is this bad
Tensors have `requires_grad`, modules do not: the assignment makes a new attribute and the parameters stay as they
were. After `layer.requires_grad = False` all 2 parameters of a linear layer are still trained, without any message.

## Example
```python
layer = nn.Linear(4, 4)
layer.requires_grad = False
```

## Use instead
```python
layer = nn.Linear(4, 4)
layer.requires_grad_(False)
```

## Fix safety
Safe: what is assigned is what the method is given. A checkpoint is not touched by it.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.receivers import Receivers


@checks(cst.Assign)
def check(assign: cst.Assign, ctx: Context) -> None:
    """Look at assignments with one target."""
    place = assign.targets[0].target
    if len(assign.targets) != 1 or not isinstance(place, cst.Attribute) or place.attr.value != "requires_grad":
        return
    if _is_own(place.value, ctx) or not Receivers(ctx.tree, ctx.names, ctx.classes).is_module(place.value):
        return
    module = ctx.code(place.value)
    ctx.report(
        place,
        f"`{module}` is a module: this sets an attribute without effect, its parameters keep their own; use "
        f"`{module}.requires_grad_({ctx.code(assign.value)})`",
        fix=ctx.fix(Safety.SAFE, ctx.replace(assign, f"{module}.requires_grad_({ctx.code(assign.value)})")),
    )


def _is_own(receiver: cst.BaseExpression, ctx: Context) -> bool:
    """`self.requires_grad = flag` keeps an option of the class's own, as does a class that reads or declares one."""
    declared = any("requires_grad" in one.methods for one in ctx.classes.all)
    return ctx.names.self_class(receiver) is not None or declared
