"""An `autograd.Function` that is called, or its `forward`, instead of `apply`.

## What it does
Reports `Fn()(x)`, also where the instance has a name, and `Fn.forward(x)` without the context that `forward` takes.
`Base.forward(ctx, x)` within another Function, `forward` of a Function with `setup_context`, and a call that brings a
context of its own are left alone.

## Why is this bad
Functions have been static since torch 0.4. `Fn()(x)` raises RuntimeError ("Legacy autograd function with non-static
forward method is deprecated"), `Fn.forward(x)` raises TypeError for the missing argument, and with any context in its
place it computes the value and never records the custom `backward`. Only `apply` does.

## Example
```python
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


y = Double()(torch.ones(3, requires_grad=True))
```

## Use instead
```python
class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad


y = Double.apply(torch.ones(3, requires_grad=True))
```

## Fix safety
Safe: what stands there raises. No fix where the instance is made with arguments or by an own `__init__`, or has a name.

## References
- https://docs.pytorch.org/docs/stable/notes/extending.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks

if TYPE_CHECKING:
    from gradlint.model import Fix

_OWN_CALL = ("__init__", "__call__", "__new__")


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at calls of instances and of `forward`."""
    made = _instance(call.func, ctx)
    if made is not None:
        _look_at_instance(call, made, ctx)
    elif isinstance(call.func, cst.Attribute) and call.func.attr.value == "forward":
        _look_at_forward(call, call.func, ctx)


def _instance(function: cst.BaseExpression, ctx: Context) -> cst.Call | None:
    """The call that made what is called here."""
    if isinstance(function, cst.Call):
        return function
    if isinstance(function, cst.Name):
        value = ctx.names.value_at(function)
        return value if isinstance(value, cst.Call) else None
    name = ctx.names.self_attribute(function)
    owner = ctx.classes.enclosing(function) if name is not None else None
    place = owner.attribute(name) if owner is not None and name is not None else None
    return place.value if place is not None and isinstance(place.value, cst.Call) else None


def _look_at_instance(call: cst.Call, made: cst.Call, ctx: Context) -> None:
    name = ctx.names.full_name(made.func)
    owner = ctx.classes.named(name)
    lineage = ctx.classes.lineage(owner) if owner is not None else []
    if not ctx.functions.is_function(name) or any("__call__" in one.methods for one in lineage):
        return
    plain = not made.args and made is call.func and not any(set(_OWN_CALL) & one.methods.keys() for one in lineage)
    shown = ctx.code(made.func)
    ctx.report(
        call,
        f"an autograd.Function is not called: `{shown}()(...)` raises RuntimeError; use `{shown}.apply(...)`",
        fix=_apply_instead(made, f"{shown}.apply", ctx) if plain else None,
        related=[] if made is call.func else [(made, "the instance is made here")],
    )


def _look_at_forward(call: cst.Call, function: cst.Attribute, ctx: Context) -> None:
    owner = ctx.functions.named(ctx.names.full_name(function.value))
    inputs = owner.inputs if owner is not None else None
    if owner is None or inputs is None or owner.setup_context is not None or ctx.functions.enclosing(call):
        return
    open_ended = any(given.star or given.keyword is not None for given in call.args) or inputs.is_open
    if open_ended or len(call.args) > inputs.required:
        return
    shown = ctx.code(function.value)
    ctx.report(
        call,
        f"`{shown}.forward` lacks its context: it raises TypeError, and never records the custom backward; use "
        f"`{shown}.apply(...)`",
        fix=_apply_instead(function, f"{shown}.apply", ctx),
    )


def _apply_instead(node: cst.CSTNode, text: str, ctx: Context) -> Fix | None:
    return ctx.fix(Safety.SAFE, ctx.replace(node, text))
