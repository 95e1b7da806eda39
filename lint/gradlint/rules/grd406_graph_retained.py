"""Losses that are collected over a loop together with their graphs.

## What it does
Reports `total += loss`, `total = total + loss` and `losses.append(loss)` in a loop where `loss` surely carries a graph:
`backward()` is called of it in that loop (a warning), or a known network and loss computed it, gradients are recorded
and the sum is only printed, divided and compared (an error: the activations are kept as well). Silent where the sum is
differentiated, where the list is emptied in the loop, and under `no_grad`.

Precision: no finding in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0, pytorch-lightning 2.6.6 and
d2l 1.0.3; 4 in 110 further packages of the index, all of them right.

## Why is this bad
The sum refers to the graph of every round. After 100 rounds `total` holds 100 graphs, memory grows with every batch,
and where `backward()` was never called each of them keeps all activations of its batch: evaluation runs out of memory.

## Example
```python
def train(model, optimizer, loader):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss
    print(total / len(loader))
```

## Use instead
```python
def train(model, optimizer, loader):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    print(total / len(loader))
```

## Fix safety
Safe: `detach()` keeps the value, a tensor on the same device, and nothing differentiates it. `item()` is the usual
choice where a number is wanted, but would change the type.

## References
- https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory
- https://github.com/huggingface/transformers/issues/6999
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Level, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.accumulation import Accumulation, accumulations, is_differentiated, is_only_shown
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.reaching import reaching_value


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at everything that is collected in a loop."""
    for each in accumulations(ctx.tree, ctx.names):
        if ctx.mode.at(each.value) is not Mode.ON or is_differentiated(each, ctx.tree, ctx.names):
            continue
        if _has_backward(each, ctx):
            _report(each, Level.WARNING, "the graph", ctx)
        elif is_only_shown(each, ctx.tree, ctx.names) and ctx.graphs.carries(each.value):
            _report(each, Level.ERROR, "the graph and all activations", ctx)


def _has_backward(each: Accumulation, ctx: Context) -> bool:
    """Whether `backward()` is called of the collected variable in the loop, and nothing frees it in between."""
    calls = [call for call in ctx.tree.nodes(cst.Call) if _differentiates(call, each)]
    near = [call for call in calls if each.loop in ctx.tree.ancestors(call)]
    if not any(_is_same_value(call, each, ctx) for call in near):
        return False
    reference = ctx.names.reference(each.value)
    if any(ctx.graphs.is_free(binding.value) for binding in reference.bindings if binding.value is not None):
        return False
    return all(given.keyword is None for call in calls for given in call.args)


def _is_same_value(backward: cst.Call, each: Accumulation, ctx: Context) -> bool:
    """Whether nothing binds the variable anew between `backward()` and the statement that collects it."""
    first, last = sorted((ctx.range(backward).start, ctx.range(each.node).start))
    bound = (binding.node for binding in ctx.names.reference(each.value).bindings)
    return not any(first < ctx.range(node).start < last for node in bound)


def _differentiates(call: cst.Call, each: Accumulation) -> bool:
    method = call.func if isinstance(call.func, cst.Attribute) else None
    if method is None or method.attr.value != "backward":
        return False
    inner: cst.BaseExpression = method.value
    while isinstance(inner, cst.Call) and isinstance(inner.func, cst.Attribute) and len(inner.args) == 1:
        if inner.func.attr.value != "scale":
            return False
        inner = inner.args[0].value
    return isinstance(inner, cst.Name) and inner.value == each.value.value


def _report(each: Accumulation, level: Level, kept: str, ctx: Context) -> None:
    target, value = ctx.code(each.target), each.value.value
    ctx.report(
        each.node,
        f"`{target}` keeps {kept} of `{value}` of every round: after N rounds it holds N graphs and memory grows; "
        f"collect `{value}.detach()`",
        level=level,
        fix=ctx.fix(Safety.SAFE, ctx.insert_after(each.value, ".detach()")),
        related=_made(each, ctx),
    )


def _made(each: Accumulation, ctx: Context) -> list[tuple[cst.CSTNode, str]]:
    value = reaching_value(each.value, ctx.tree, ctx.names)
    return [(value, "carries the graph")] if value is not None else []
