"""`type(m) == nn.Linear` where `isinstance` is meant.

## What it does
Reports comparisons of `type(x)` by `==`, `!=`, `is`, `is not`, `in` and `not in` with module classes of torch.

## Why is this bad
A subclass is passed over: lazy layers, quantised ones, those of LoRA and of your own. An init function that tests
`type(m) == nn.Linear` initialises 0 of the weights of a subclass of `nn.Linear`, without any message.

## Example
```python
def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.xavier_uniform_(m.weight)
```

## Use instead
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
```

## Fix safety
Safe: what passed before passes still, and subclasses pass too. Where one class is deliberately told from its
subclasses, suppress the rule: it is pedantic and off by default.

## References
- https://docs.python.org/3/library/functions.html#isinstance
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks

_EQUAL = (cst.Equal, cst.Is, cst.In)
_DIFFERENT = (cst.NotEqual, cst.IsNot, cst.NotIn)


@checks(cst.Comparison)
def check(comparison: cst.Comparison, ctx: Context) -> None:
    """Look at comparisons with `type(x)` on the left."""
    asked = comparison.left
    if len(comparison.comparisons) != 1 or not isinstance(asked, cst.Call) or len(asked.args) != 1:
        return
    target = comparison.comparisons[0]
    if ctx.names.full_name(asked.func) != "builtins.type" or not isinstance(target.operator, _EQUAL + _DIFFERENT):
        return
    if not _are_layers(target.comparator, target.operator, ctx):
        return
    negation = "not " if isinstance(target.operator, _DIFFERENT) else ""
    classes = ctx.code(target.comparator)
    if isinstance(target.comparator, cst.List):
        classes = (
            f"({classes.strip()[1:-1]},)" if len(target.comparator.elements) == 1 else f"({classes.strip()[1:-1]})"
        )
    text = f"{negation}isinstance({ctx.code(asked.args[0].value)}, {classes})"
    ctx.report(
        comparison,
        f"`{ctx.code(comparison)}` passes over subclasses (lazy, quantised, LoRA layers); use `{text}`",
        fix=ctx.fix(Safety.SAFE, ctx.replace(comparison, text)),
    )


def _are_layers(value: cst.BaseExpression, operator: cst.BaseCompOp, ctx: Context) -> bool:
    """One class of torch, or a tuple or list of them for `in`."""
    if isinstance(operator, (cst.In, cst.NotIn)):
        elements = value.elements if isinstance(value, (cst.Tuple, cst.List)) else ()
        return bool(elements) and all(_is_layer(element.value, ctx) for element in elements)
    return _is_layer(value, ctx)


def _is_layer(value: cst.BaseExpression, ctx: Context) -> bool:
    name = ctx.names.full_name(value)
    return name is not None and name.startswith("torch.nn.") and ctx.classes.is_module(name) is True
