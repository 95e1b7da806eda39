"""`parameters` of a module given or looped over without calling it.

## What it does
Reports `model.parameters` (also `named_parameters`, `modules`, `children`, `buffers` and their named forms) without
parentheses as the first argument of an optimizer or of `clip_grad_norm_`, `clip_grad_value_` and
`parameters_to_vector`, and as what a loop goes over; only where the receiver is known to be a module.

## Why is this bad
The method is no iterable: torch raises TypeError, often only when training begins.

## Example
```python
layer = nn.Linear(4, 4)
optimizer = torch.optim.Adam(layer.parameters, lr=1e-3)
```

## Use instead
```python
layer = nn.Linear(4, 4)
optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
```

## Fix safety
Safe: the code raises as it stands.

## References
- https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument
from gradlint.semantics.receivers import Receivers
from gradlint.words import words

_METHODS = words("parameters named_parameters modules named_modules children named_children buffers named_buffers")
_UTILS = frozenset(
    f"torch.nn.utils.{name}" for name in ("clip_grad_norm_", "clip_grad_value_", "parameters_to_vector")
) | {"torch.nn.utils.convert_parameters.parameters_to_vector"}


@checks(cst.Call)
def given(call: cst.Call, ctx: Context) -> None:
    """`Adam(model.parameters)`."""
    name = ctx.names.full_name(call.func) or ""
    makes_optimizer = name.startswith("torch.optim.") and name.rpartition(".")[2][:1].isupper()
    if name in _UTILS or (makes_optimizer and "lr_scheduler" not in name):
        _look(argument(call, 0, "params" if makes_optimizer else "parameters"), ctx)


@checks(cst.For)
def loop(statement: cst.For, ctx: Context) -> None:
    """`for p in model.parameters:`."""
    _look(statement.iter, ctx)


@checks(cst.CompFor)
def comprehension(clause: cst.CompFor, ctx: Context) -> None:
    """`sum(p.numel() for p in model.parameters)`."""
    _look(clause.iter, ctx)


def _look(value: cst.BaseExpression | None, ctx: Context) -> None:
    if not isinstance(value, cst.Attribute) or value.attr.value not in _METHODS:
        return
    owner = ctx.classes.enclosing(value)
    shadowed = owner is not None and any(value.attr.value in one.attributes for one in ctx.classes.lineage(owner))
    if not shadowed and Receivers(ctx.tree, ctx.names, ctx.classes).is_module(value.value):
        text = ctx.code(value)
        ctx.report(
            value,
            f"`{text}` is the method, not what it returns, and raises TypeError; call it: `{text}()`",
            fix=ctx.fix(Safety.SAFE, ctx.insert_after(value, "()")),
        )
