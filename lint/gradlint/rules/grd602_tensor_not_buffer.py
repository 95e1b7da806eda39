"""A tensor in a plain attribute of a module, which `.to()` does not move and `state_dict()` does not save.

## What it does
Reports tensors made in `__init__` of an `nn.Module` and kept as a plain attribute, where another method updates them
(running statistics, counters) or computes with them and an input. Silent where the class names a device or moves the
tensor itself, for tensors without dimensions, and for those used only as an index or asked for their shape.

## Why is this bad
Only parameters and buffers belong to a module. A plain tensor is not in `state_dict()`: what it has gathered in
training is lost on save, and the loaded model evaluates with the initial value. `.to()` and `.double()` pass it by,
so on a GPU the first operation with an input raises RuntimeError. `register_buffer` cures both.

## Example
```python
class Norm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.moving_mean = torch.zeros(features)

    def forward(self, x):
        self.moving_mean = 0.9 * self.moving_mean + 0.1 * x.detach().mean(0)
        return x - self.moving_mean
```

## Use instead
```python
class Norm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.register_buffer("moving_mean", torch.zeros(features))

    def forward(self, x):
        self.moving_mean = 0.9 * self.moving_mean + 0.1 * x.detach().mean(0)
        return x - self.moving_mean
```

## Fix safety
Unsafe: a buffer that is updated gets an entry in `state_dict()`, so that strict loading of old checkpoints fails.
Constants become buffers with `persistent=False`, which have none.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer
- https://github.com/d2l-ai/d2l-zh/issues/1265
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.plain_tensor import PlainTensors, Use
from gradlint.semantics.super_init import is_after_super

if TYPE_CHECKING:
    from gradlint.semantics.module_class import Attribute, ModuleClass

_MOVING = frozenset({"_apply", "to", "cuda"})


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the attributes that each module class sets in `__init__`."""
    tensors = PlainTensors(ctx.tree, ctx.names)
    for owner in ctx.classes.modules:
        if owner.dynamic or _MOVING & owner.methods.keys():
            continue
        for name, places in owner.attributes.items():
            made = [place for place in places if place.method is not None and place.method.name.value == "__init__"]
            if len(made) == 1 and isinstance(made[0].node, cst.Attribute) and tensors.is_tensor(made[0].value):
                _look(owner, name, made[0], tensors, ctx)


def _look(owner: ModuleClass, name: str, place: Attribute, tensors: PlainTensors, ctx: Context) -> None:
    uses = tensors.uses(owner, name)
    kinds = {use.kind for use in uses}
    updates = [use for use in uses if use.kind is Use.UPDATE]
    computing = [use for use in uses if use.kind is Use.COMPUTE]
    if updates and len(uses) > 1:
        method = updates[0].method.name.value
        message = (
            f"`self.{name}` is updated in `{method}` but is a plain tensor: state_dict() does not have it, so it "
            "is lost on save, and .to() does not move it; register it with register_buffer"
        )
        fix = _fix(place, name, "", ctx)
        ctx.report(place.node, message, fix=fix, related=[(updates[0].node, "where it is updated")])
    elif computing and not kinds & {Use.MOVE, Use.REPLACE, Use.UPDATE}:
        method = computing[0].method.name.value
        message = (
            f"`self.{name}` is a plain tensor that .to() does not move: on a GPU the operation in `{method}` mixes "
            "2 devices and raises RuntimeError; register it with register_buffer(..., persistent=False)"
        )
        fix = _fix(place, name, ", persistent=False", ctx)
        ctx.report(place.node, message, fix=fix, related=[(computing[0].node, "where it meets an input")])


def _fix(place: Attribute, name: str, more: str, ctx: Context) -> Fix | None:
    target = ctx.tree.parent(place.node)
    assign = ctx.tree.parent(target) if isinstance(target, cst.AssignTarget) else None
    if not isinstance(assign, cst.Assign) or len(assign.targets) != 1 or place.value is None:
        return None
    if not is_after_super(place.node, place.method) or not isinstance(place.node, cst.Attribute):
        return None
    instance = ctx.code(place.node.value)
    text = f'{instance}.register_buffer("{name}", {ctx.code(place.value)}{more})'
    return ctx.fix(Safety.UNSAFE, ctx.replace(assign, text))
