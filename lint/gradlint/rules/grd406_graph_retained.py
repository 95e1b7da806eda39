"""Losses that are collected over a loop together with their graphs.

## What it does
Reports `total += loss`, `total += criterion(y, t)` and `losses.append(loss)` in a loop where what is added surely
carries a graph: `backward()` is called of it, or of a sum of which it is a part, in that loop (a warning), or a loss
computed it from what a network gives, gradients are recorded and the sum is only printed, averaged and compared (an
error: the activations are kept as well). Silent where the sum is differentiated, where the list is emptied in the loop,
where the network or the sum runs under `no_grad`, and without `backward()` in a file that switches gradients of
parameters off.

Precision: no finding in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0, pytorch-lightning 2.6.6 and
d2l 1.0.3; 11 in 265 further packages of the index, all of them right.

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
from gradlint.semantics.evaluation import is_mode_call
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.reaching import reaching_value
from gradlint.semantics.receiver_places import place_of
from gradlint.semantics.switched_off import switched_off


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at everything that is collected in a loop."""
    for each in accumulations(ctx.tree, ctx.names):
        if ctx.mode.at(each.value) is not Mode.ON or is_differentiated(each, ctx.tree, ctx.names):
            continue
        if _has_backward(each, ctx):
            _report(each, Level.WARNING, "the graph", ctx)
        elif is_only_shown(each, ctx.tree, ctx.names) and _carries(each.value, ctx) and not _freezes(ctx):
            _report(each, Level.ERROR, "the graph and all activations", ctx)


def _freezes(ctx: Context) -> bool:
    """Whether the file switches gradients of parameters off: then the network may record nothing."""
    return next(switched_off(ctx.tree, ctx.names), None) is not None


def _carries(value: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a value surely has a graph: a loss of what a network gives, known as one or by its mode here."""
    if isinstance(value, cst.Name):
        return ctx.graphs.carries(value) or _is_of_network(reaching_value(value, ctx.tree, ctx.names), ctx)
    is_loss = isinstance(value, cst.Call) and ctx.losses.of(value) is not None
    return is_loss and (ctx.graphs.carries(value) or _is_of_network(value, ctx))


def _is_of_network(value: cst.BaseExpression | None, ctx: Context) -> bool:
    """Whether a value is a loss of the output of a network that the same code puts in a mode: `model.eval()`."""
    loss = ctx.losses.of(value) if isinstance(value, cst.Call) else None
    output = loss.input if loss is not None else None
    if isinstance(output, cst.Name):
        output = reaching_value(output, ctx.tree, ctx.names)
    if not isinstance(output, cst.Call) or ctx.mode.at(output) is not Mode.ON:
        return False
    network = place_of(output.func, ctx.names, {})
    around = ctx.tree.enclosing(output, cst.FunctionDef)
    modes = (
        call.func.value
        for call in ctx.tree.below(around or ctx.tree.module, cst.Call)
        if isinstance(call.func, cst.Attribute) and (is_mode_call(call, "eval") or is_mode_call(call, "train"))
    )
    return network is not None and any(place_of(each, ctx.names, {}) == network for each in modes)


def _has_backward(each: Accumulation, ctx: Context) -> bool:
    """Whether `backward()` is called of the collected variable in the loop, and nothing frees it in between."""
    if not isinstance(each.value, cst.Name):
        return False
    collected = each.value
    calls = [
        call
        for word in ctx.tree.named("backward")
        if (call := ctx.tree.call_of(word)) is not None and _differentiates(call, collected, ctx)
    ]
    near = [call for call in calls if each.loop in ctx.tree.ancestors(call)]
    if not any(_is_same_value(call, each, ctx) for call in near):
        return False
    bindings = ctx.names.reference(each.value).bindings
    if any(ctx.graphs.is_free(binding.value) for binding in bindings if binding.value is not None):
        return False
    return all(given.keyword is None for call in calls for given in call.args)


def _is_same_value(backward: cst.Call, each: Accumulation, ctx: Context) -> bool:
    """Whether nothing binds the variable anew between `backward()` and the statement that collects it."""
    first, last = sorted((ctx.range(backward).start, ctx.range(each.node).start))
    bindings = ctx.names.reference(each.value).bindings if isinstance(each.value, cst.Name) else ()
    bound = (binding.node for binding in bindings)
    return not any(first < ctx.range(node).start < last for node in bound)


def _differentiates(backward: cst.Call, collected: cst.Name, ctx: Context) -> bool:
    """Whether `backward()` is called of a variable, scaled or not, or of a sum of which it is a part."""
    assert isinstance(backward.func, cst.Attribute)
    inner = backward.func.value
    while isinstance(inner, cst.Call) and isinstance(inner.func, cst.Attribute) and len(inner.args) == 1:
        if inner.func.attr.value != "scale":
            return False
        inner = inner.args[0].value
    if not isinstance(inner, cst.Name):
        return False
    if inner.value == collected.value:
        return True
    whole, part = ctx.names.reference(inner).binding, ctx.names.reference(collected).binding
    if whole is None or part is None or not isinstance(part.value, cst.Call) or ctx.losses.of(part.value) is None:
        return False  # any number may be a part: only a loss is sure to have a graph
    return collected.value in _terms(whole.value)


def _terms(value: cst.BaseExpression | None) -> set[str]:
    """The variables that a sum adds, also times something: `a` and `b` of `a + 0.1 * b`."""
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, (cst.Add, cst.Multiply)):
        return _terms(value.left) | _terms(value.right)
    return {value.value} if isinstance(value, cst.Name) else set()


def _report(each: Accumulation, level: Level, kept: str, ctx: Context) -> None:
    target, value = ctx.code(each.target), ctx.code(each.value)
    ctx.report(
        each.node,
        f"`{target}` keeps {kept} of `{value}` of every round: after N rounds it holds N graphs and memory grows; "
        f"collect `{value}.detach()`",
        level=level,
        fix=ctx.fix(Safety.SAFE, ctx.insert_after(each.value, ".detach()")),
        related=_made(each, ctx),
    )


def _made(each: Accumulation, ctx: Context) -> list[tuple[cst.CSTNode, str]]:
    value = reaching_value(each.value, ctx.tree, ctx.names) if isinstance(each.value, cst.Name) else None
    return [(value, "carries the graph")] if value is not None else []
