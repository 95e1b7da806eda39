"""A `backward` that returns more or fewer gradients than `forward` has inputs.

## What it does
Counts what `backward` of an `autograd.Function` returns: a tuple that is written out, or one value that is surely one
tensor; and compares with the inputs of `forward` after the context (all of them with `setup_context`). What a helper
returns, starred tuples and `*args` are not counted, and neither is an early `return None` beside other returns.

## Why is this bad
`backward` owes one gradient for each argument of `apply`, None for those that have none, numbers and flags included.
In torch 2.13 one gradient for two inputs is RuntimeError ("returned an incorrect number of gradients (expected 2, got
1)") at the first `backward()`. Further trailing Nones are dropped silently, so they are an info: the signature has
changed and `backward` has not, or the count was never right. A further gradient that is no None raises.

## Example
```python
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor
```

## Use instead
```python
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None
```

## Fix safety
Unsafe: it adds None for the last inputs, which may owe a gradient, or takes superfluous Nones away.

## References
- https://docs.pytorch.org/docs/stable/notes/extending.html
- https://github.com/huawei-noah/AdderNet/issues/21
- https://github.com/getkeops/keops/issues/327
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Fix, Level, Range, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.autograd_function import parameters_of
from gradlint.semantics.tensor_evidence import TensorEvidence

if TYPE_CHECKING:
    from gradlint.semantics.autograd_function import FunctionClass, Inputs


@dataclass(frozen=True)
class Returned:
    """What one `return` gives: how many gradients, and how many of them are Nones at the end."""

    node: cst.Return
    count: int
    trailing: int


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every `backward` whose Function is known whole."""
    for function in ctx.functions.all:
        backward, inputs = function.backward, function.inputs
        own = backward is not None and backward in function.node.body.body
        if backward is None or inputs is None or not own or not function.keeps(backward):
            continue
        returns = [_returned(node, backward, ctx) for node in function.returns(backward)]
        for one in returns:
            if one is not None and not (_is_none(one.node.value) and len(returns) > 1):
                _compare(one, inputs, function, ctx)


def _returned(node: cst.Return, backward: cst.FunctionDef, ctx: Context) -> Returned | None:
    value = node.value
    if isinstance(value, cst.Tuple):
        if any(isinstance(element, cst.StarredElement) for element in value.elements):
            return None
        nones = [_is_none(element.value) for element in value.elements]
        trailing = next((index for index, none in enumerate(reversed(nones)) if not none), len(nones))
        return Returned(node, len(nones), trailing)
    gradients = frozenset(each.name.value for each in parameters_of(backward)[1:])
    if _is_none(value) or TensorEvidence(ctx.names, gradients).is_tensor(value):
        return Returned(node, 1, int(_is_none(value)))
    return None


def _is_none(value: cst.BaseExpression | None) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"


def _compare(one: Returned, inputs: Inputs, function: FunctionClass, ctx: Context) -> None:
    total = len(inputs.names)
    if one.count < inputs.required:
        _report(one, inputs, function, ctx, None, "torch raises RuntimeError at the first backward()")
    elif one.count > total and not inputs.is_open:
        if one.count - one.trailing > total:
            _report(one, inputs, function, ctx, None, "torch raises RuntimeError at the first backward()")
        elif one.count > 1:
            _report(one, inputs, function, ctx, Level.INFO, "torch drops the further Nones without a word")


def _report(
    one: Returned, inputs: Inputs, function: FunctionClass, ctx: Context, level: Level | None, effect: str
) -> None:
    assert function.forward is not None
    named = ", ".join(inputs.names)
    many = f"{one.count} gradient{'' if one.count == 1 else 's'}"
    owed = f"{len(inputs.names)} input{'' if len(inputs.names) == 1 else 's'} of `forward` ({named})"
    ctx.report(
        one.node,
        f"`backward` returns {many} for {owed}: {effect}; return one for each, None where there is none",
        level=level,
        fix=_fix(one, inputs, ctx),
        related=[(function.forward, "its inputs are the parameters after the context")],
    )


def _fix(one: Returned, inputs: Inputs, ctx: Context) -> Fix | None:
    value = one.node.value
    assert value is not None
    missing = inputs.required - one.count
    if missing > 0:
        last = value.elements[-1].value if isinstance(value, cst.Tuple) and value.elements else value
        return ctx.fix(Safety.UNSAFE, ctx.insert_after(last, ", None" * missing))
    kept = len(inputs.names)
    if not isinstance(value, cst.Tuple) or one.count - one.trailing > kept or kept == 0:
        return None
    start = ctx.insert_after(value.elements[kept - 1].value, "").range.start
    gone = Range(start, ctx.insert_after(value.elements[-1].value, "").range.start)
    return None if "#" in ctx.source.slice(gone) else ctx.fix(Safety.UNSAFE, Edit(gone, ""))
