"""A parameter that is moved or cast after it was made, and so is none any more.

## What it does
Reports `self.w = nn.Parameter(x).cuda()` in an `nn.Module`: any method that returns another tensor, called on a new
parameter. `.float()`, `.cpu()` and `.to("cpu")`, which usually return the parameter itself, are an info.

## Why is this bad
The result is a plain tensor computed from the parameter. It is not registered: `parameters()` has 0 entries for it,
no optimizer trains it, `state_dict()` does not save it.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3)).half()
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3).half())
```

## Fix safety
Safe: the same numbers in the same place, as a parameter.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
- https://github.com/pytorch/pytorch/issues/9303
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Fix, Level, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument

_SAME = ("float", "cpu")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what every module class assigns to its attributes."""
    for owner in ctx.classes.modules:
        for places in owner.attributes.values():
            for place in places:
                steps = _steps(place.value, ctx)
                if steps and isinstance(place.node, cst.Attribute):
                    _report(place.node, steps, ctx)


def _steps(value: cst.BaseExpression | None, ctx: Context) -> list[cst.Call]:
    """`nn.Parameter(x)` and the method calls on it, innermost first; empty when it is something else."""
    calls: list[cst.Call] = []
    while isinstance(value, cst.Call):
        calls.append(value)
        if ctx.names.full_name(value.func) == "torch.nn.Parameter":
            return calls[::-1] if len(calls) > 1 and not _in_place(calls[0]) else []
        value = value.func.value if isinstance(value.func, cst.Attribute) else None
    return []


def _in_place(call: cst.Call) -> bool:
    return isinstance(call.func, cst.Attribute) and call.func.attr.value.endswith("_")


def _report(target: cst.Attribute, steps: list[cst.Call], ctx: Context) -> None:
    made, *later = steps
    methods = [call.func.attr.value for call in later if isinstance(call.func, cst.Attribute)]
    same = all(method in _SAME for method in methods) or ctx.code(later[-1]).endswith((".to('cpu')", '.to("cpu")'))
    ctx.report(
        later[-1],
        f"`.{methods[0]}(...)` of a parameter is a plain tensor: `{ctx.code(target)}` is not registered and "
        f"parameters() has 0 entries for it; make the parameter last: nn.Parameter(x.{methods[0]}(...))",
        level=Level.INFO if same else None,
        fix=_fix(made, later[-1], ctx),
    )


def _fix(made: cst.Call, last: cst.Call, ctx: Context) -> Fix | None:
    data = argument(made, 0, "data")
    if data is None:
        return None
    moved = ctx.code(last)[len(ctx.code(made)) :]
    simple = isinstance(data, (cst.Name, cst.Attribute, cst.Call, cst.Subscript)) or bool(data.lpar)
    inner = f"{ctx.code(data)}{moved}" if simple else f"({ctx.code(data)}){moved}"
    text = ctx.code(made)
    if text.count(ctx.code(data)) != 1:
        return None
    return ctx.fix(Safety.SAFE, ctx.replace(last, text.replace(ctx.code(data), inner)))
