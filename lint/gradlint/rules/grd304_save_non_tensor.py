"""Something other than a tensor given to `save_for_backward`.

## What it does
Reports arguments of `ctx.save_for_backward(...)` that are surely no tensor: numbers, strings, flags, lists and tuples,
shapes, dtypes, devices, what `len`, `int` and `.item()` give, and parameters annotated as `int`, `float`, `bool` or
`str`. None is allowed.

## Why is this bad
In torch 2.13 `save_for_backward(x, 3)` is TypeError ("save_for_backward can only save variables, but argument 1 is of
type int"), but only where an input requires a gradient: inference works, training does not. A list of tensors is no
tensor either.

## Example
```python
class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n: int):
        ctx.save_for_backward(x, n)
        return x**n

    @staticmethod
    def backward(ctx, grad):
        x, n = ctx.saved_tensors
        return grad * n * x ** (n - 1), None
```

## Use instead
```python
class Power(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, n: int):
        ctx.n = n
        ctx.save_for_backward(x)
        return x**n

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        n = ctx.n
        return grad * n * x ** (n - 1), None
```

## Fix safety
Unsafe: a named value moves to an attribute of the context and out of the one place that unpacks the saved tensors; a
list or tuple on its own is starred.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.autograd.function.FunctionCtx.save_for_backward.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.tensor_evidence import TensorEvidence

if TYPE_CHECKING:
    from gradlint.semantics.autograd_function import FunctionClass, Save


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every argument of every save."""
    evidence = TensorEvidence(ctx.names)
    for function in ctx.functions.all:
        if function.saving is None or function.saving not in function.node.body.body:
            continue
        for save in function.saves or ():
            plain = [given for given in save.call.args if not given.star and given.keyword is None]
            wrong = [given for given in plain if evidence.is_other(given.value)]
            fix = _fix(function, save, wrong, ctx) if wrong else None
            for given in wrong:
                _report(save, given, fix, ctx)


def _report(save: Save, given: cst.Arg, fix: Fix | None, ctx: Context) -> None:
    listed = len(save.call.args) == 1 and isinstance(given.value, (cst.List, cst.Tuple))
    advice = "star it" if listed else "keep it as an attribute of the context"
    ctx.report(
        given.value,
        f"`{ctx.code(given.value)}` is no tensor: save_for_backward raises TypeError as soon as an input requires a "
        f"gradient; {advice}",
        fix=fix,
    )


def _fix(function: FunctionClass, save: Save, wrong: list[cst.Arg], ctx: Context) -> Fix | None:
    """One fix for all that is wrong in a save: its place in the code that unpacks would shift otherwise."""
    everything = save.call.args
    if len(everything) == 1 and isinstance(everything[0].value, (cst.List, cst.Tuple)):
        return ctx.fix(Safety.UNSAFE, ctx.insert_before(everything[0].value, "*"))
    unpacking = _unpacking(function, len(everything), ctx)
    if unpacking is None or len(wrong) == len(everything) or len(function.saves or ()) != 1:
        return None
    place, names = unpacking
    if not _is_on_its_own(save.call, ctx) or not _is_on_its_own(place, ctx):
        return None
    assert isinstance(save.call.func, cst.Attribute)
    assert isinstance(place.value, cst.Attribute)
    holder, reader = ctx.code(save.call.func.value), ctx.code(place.value.value)
    moved = {names[everything.index(given)]: ctx.code(given.value) for given in wrong}
    saved = ", ".join(ctx.code(given.value) for given in everything if given not in wrong)
    saving = [f"{holder}.{name} = {code}" for name, code in moved.items()]
    saving.append(f"{ctx.code(save.call.func)}({saved})")
    kept = [name for name in names if name not in moved]
    left = f"({kept[0]},)" if len(kept) == 1 else ", ".join(kept)
    reading = [f"{left} = {reader}.saved_tensors", *(f"{name} = {reader}.{name}" for name in moved)]
    edits = [ctx.replace(save.call, _lines(saving, save.call, ctx)), ctx.replace(place, _lines(reading, place, ctx))]
    return ctx.fix(Safety.UNSAFE, *edits)


def _is_on_its_own(node: cst.CSTNode, ctx: Context) -> bool:
    """Whether nothing else stands on the lines of a statement."""
    line = ctx.tree.statement(node)
    return isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1


def _unpacking(function: FunctionClass, count: int, ctx: Context) -> tuple[cst.Assign, list[str]] | None:
    """The only place that reads the saved tensors and the names it unpacks them into, one for each."""
    uses = function.attribute_uses(function.backward, "saved_tensors") if function.backward is not None else []
    above = ctx.tree.parent(uses[0]) if len(uses) == 1 else None
    if not isinstance(above, cst.Assign) or len(above.targets) != 1:
        return None
    target = above.targets[0].target
    elements = target.elements if isinstance(target, cst.Tuple) else ()
    names = [each.value.value for each in elements if isinstance(each.value, cst.Name)]
    return (above, names) if len(names) == len(elements) == count == len(set(names)) else None


def _lines(lines: list[str], at: cst.CSTNode, ctx: Context) -> str:
    """Statements in the place of one, with its indentation."""
    start = ctx.range(at).start
    indentation = ctx.source.line(start.line)[: start.column - 1]
    return f"{ctx.tree.module.default_newline}{indentation}".join(lines)
