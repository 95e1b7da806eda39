"""`require_grad` where torch has `requires_grad`.

## What it does
Reports assignments to `.require_grad`, `setattr(p, "require_grad", ...)` and `require_grad=` in calls of torch.

## Why is this bad
A tensor takes any attribute: the assignment succeeds and changes nothing. Parameters meant to be frozen are
trained, tensors meant to have a gradient have none, and no message says so.

## Example
```python
for p in model.features.parameters():
    p.require_grad = False
```

## Use instead
```python
for p in model.features.parameters():
    p.requires_grad = False
```

## Fix safety
Safe: only the name changes, and the misspelt attribute had no effect. Where the object is a module there is no
fix: `requires_grad` on a module is an attribute of its own as well (use `module.requires_grad_(False)`).

## References
- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html
- https://github.com/codertimo/BERT-pytorch/issues/104
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.module_class import AttributeKind

_TYPO = "require_grad"
_MEANT = "requires_grad"
_MESSAGE = f"`{_TYPO}` is a new attribute without effect; the name is `{_MEANT}`"


@checks(cst.AssignTarget)
def assignment(target: cst.AssignTarget, ctx: Context) -> None:
    """`p.require_grad = False`."""
    place = target.target
    if not isinstance(place, cst.Attribute) or place.attr.value != _TYPO or _is_own(place.value, ctx):
        return
    if _is_module(place.value, ctx):
        ctx.report(place.attr, f"{_MESSAGE}, and for a module the method `.requires_grad_()`")
    else:
        ctx.report(place.attr, _MESSAGE, fix=_renamed(place.attr, _MEANT, ctx))


@checks(cst.Call)
def setting(call: cst.Call, ctx: Context) -> None:
    """`setattr(p, "require_grad", False)`."""
    if ctx.names.full_name(call.func) != "builtins.setattr" or len(call.args) != 3:
        return
    subject, name = call.args[0].value, call.args[1].value
    if isinstance(name, cst.SimpleString) and name.evaluated_value == _TYPO and not _is_own(subject, ctx):
        fix = None if _is_module(subject, ctx) else _renamed(name, name.value.replace(_TYPO, _MEANT), ctx)
        ctx.report(name, _MESSAGE, fix=fix)


@checks(cst.Arg)
def keyword(given: cst.Arg, ctx: Context) -> None:
    """`torch.zeros(3, require_grad=True)`."""
    if given.keyword is None or given.keyword.value != _TYPO:
        return
    call = ctx.tree.parent(given)
    name = ctx.names.full_name(call.func) if isinstance(call, cst.Call) else None
    # `torch.Tensor._make_subclass` really spells it so; what is private is not judged.
    if name is not None and name.startswith("torch.") and "._" not in name:
        message = f"`{name}` has no argument `{_TYPO}` and raises TypeError; the name is `{_MEANT}`"
        ctx.report(given.keyword, message, fix=_renamed(given.keyword, _MEANT, ctx))


def _renamed(node: cst.CSTNode, text: str, ctx: Context) -> Fix | None:
    return ctx.fix(Safety.SAFE, ctx.replace(node, text))


def _is_own(receiver: cst.BaseExpression, ctx: Context) -> bool:
    """Whether the attribute may be meant: an attribute of the code's own classes, or of its options."""
    if ctx.names.self_class(receiver) is not None:
        return True
    declared = any(_TYPO in one.attributes or _TYPO in one.methods for one in ctx.classes.all)
    in_body = any(_TYPO in ctx.scopes.inside(one.node).bindings for one in ctx.classes.all)
    last = receiver.attr.value if isinstance(receiver, cst.Attribute) else getattr(receiver, "value", "")
    is_option = isinstance(last, str) and last.lower().strip("_") in ("args", "cfg", "config", "opt", "opts", "options")
    return declared or in_body or is_option


def _is_module(receiver: cst.BaseExpression, ctx: Context) -> bool:
    name = ctx.names.self_attribute(receiver)
    if name is not None:
        owner = ctx.classes.enclosing(receiver)
        places = owner.attributes.get(name, []) if owner is not None else []
        return any(place.kind is AttributeKind.LAYER for place in places)
    binding = ctx.names.reference(receiver).binding if isinstance(receiver, cst.Name) else None
    return binding is not None and ctx.classes.kind_of(binding.value) is AttributeKind.LAYER
