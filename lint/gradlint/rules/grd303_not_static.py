"""A method of an `autograd.Function` that is not static.

## What it does
Reports `forward`, `backward`, `setup_context`, `vjp` and `jvp` of classes derived from `torch.autograd.Function` that
are defined without `@staticmethod`. Where the file uses the class by `apply` only, it is an info.

## Why is this bad
That was the way before torch 0.4, when a Function was an object that was called. Now `Fn()(x)` raises RuntimeError
("Legacy autograd function with non-static forward method is deprecated"). `Fn.apply(x)` still finds the method and
gives it the context as `self`, which no documentation promises.

## Example
```python
class Double(torch.autograd.Function):
    def forward(ctx, x):
        return 2 * x
```

## Use instead
```python
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
```

## Fix safety
Safe: by `apply` the method gets the same arguments as before, and the other way raises as it stands. The first
parameter is the context, whatever its name.

## References
- https://docs.pytorch.org/docs/stable/notes/extending.html
- https://github.com/jiecaoyu/XNOR-Net-PyTorch/issues/125
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Level, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.autograd_function import METHODS


@checks(cst.ClassDef)
def check(defined: cst.ClassDef, ctx: Context) -> None:
    """Look at every class that derives from Function."""
    owner = ctx.classes.of(defined)
    if not ctx.functions.is_function(owner.name):
        return
    applied = _is_applied(owner.name, ctx)
    for name, method in owner.methods.items():
        if name not in METHODS or method.decorators or not method.params.params:
            continue
        ctx.report(
            method,
            f"`{name}` of an autograd.Function is not static: `{defined.name.value}()(...)` raises RuntimeError; "
            "add @staticmethod and use .apply",
            level=Level.INFO if applied else None,
            fix=ctx.fix(Safety.SAFE, ctx.insert_line_above(method, "@staticmethod")),
        )


def _is_applied(name: str, ctx: Context) -> bool:
    """Whether the file uses a class by `apply`, and never makes an instance."""
    applied = any(
        node.attr.value == "apply" and ctx.names.full_name(node.value) == name for node in ctx.tree.nodes(cst.Attribute)
    )
    return applied and not any(ctx.names.full_name(call.func) == name for call in ctx.tree.nodes(cst.Call))
