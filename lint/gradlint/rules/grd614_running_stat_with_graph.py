"""A running statistic that keeps the graph of every batch it has seen.

## What it does
Reports `self.mean = momentum * self.mean + (1 - momentum) * x.mean(0)` and the like in what a module runs when it is
called, where the new value comes from the input with its graph; also with `+=`. Silent under `no_grad`, after
`detach()`, for counters, and where the forward pass itself sets the attribute anew before.

## Why is this bad
The new statistic hangs on the graph of the batch and on the old statistic, which hangs on the batch before: after k
steps the graph of k batches is kept. Memory grows until it is gone, and once the statistic is used in the loss, the
second backward raises RuntimeError ("Trying to backward through the graph a second time"). In torch 2.13 the chain of
an exponential average grows by 2 nodes a step, each with the activations below it.

## Example
```python
class Norm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return x - self.mean
```

## Use instead
```python
class Norm(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))

    def forward(self, x):
        self.mean = (0.9 * self.mean + 0.1 * x.mean(0)).detach()
        return x - self.mean
```

## Fix safety
Safe: the numbers are the same, and a statistic of earlier batches is no function to be differentiated.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
- https://github.com/d2l-ai/d2l-en/issues/1342
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.forward_methods import running
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.input_values import InputValues
from gradlint.semantics.module_class import AttributeKind
from gradlint.walk import walk
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.semantics.module_class import ModuleClass

_HELD = (AttributeKind.BUFFER, AttributeKind.PLAIN)
_FLOATING = words("mean var std norm var_mean std_mean lerp pow square sqrt exp abs max min amax amin sum")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what each module class assigns to its own attributes when it is called."""
    inputs = InputValues(ctx.names)
    for owner in ctx.classes.modules:
        methods = running(owner, ctx.classes, ctx.names)
        for method in methods:
            for node in walk(method.body):
                found = _update(node, ctx)
                if found is None or not _is_statistic(found[0], node, owner, methods, ctx):
                    continue
                name, term = found
                if _is_average(term) and inputs.reaches(term, method) and ctx.mode.at(node) is Mode.ON:
                    _report(node, name, ctx)


def _update(node: cst.CSTNode, ctx: Context) -> tuple[str, cst.BaseExpression] | None:
    """`x` and the new term of `self.x = a * self.x + term` or `self.x += term`."""
    if isinstance(node, cst.AugAssign) and isinstance(node.operator, cst.AddAssign):
        name = ctx.names.self_attribute(node.target)
        return (name, node.value) if name is not None else None
    if not isinstance(node, cst.Assign) or len(node.targets) != 1:
        return None
    name = ctx.names.self_attribute(node.targets[0].target)
    value = node.value
    is_sum = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, (cst.Add, cst.Subtract))
    if name is None or not is_sum or not isinstance(value, cst.BinaryOperation):
        return None
    for old, new in ((value.left, value.right), (value.right, value.left)):
        if _mentions(old, name, ctx):
            return name, new
    return None


def _mentions(value: cst.CSTNode, name: str, ctx: Context) -> bool:
    """Whether a value is the old statistic, itself or scaled."""
    if isinstance(value, cst.BinaryOperation):
        return isinstance(value.operator, (cst.Multiply, cst.Divide)) and (
            _mentions(value.left, name, ctx) or _mentions(value.right, name, ctx)
        )
    return ctx.names.self_attribute(value) == name


def _is_average(term: cst.BaseExpression) -> bool:
    """Whether a term is a weighted value or a reduction: no counter."""
    weighted = isinstance(term, cst.BinaryOperation) and isinstance(term.operator, (cst.Multiply, cst.Divide))
    called = (node.func for node in walk(term) if isinstance(node, cst.Call))
    return weighted or any(isinstance(one, cst.Attribute) and one.attr.value in _FLOATING for one in called)


def _is_statistic(
    name: str, node: cst.CSTNode, owner: ModuleClass, methods: list[cst.FunctionDef], ctx: Context
) -> bool:
    """Whether an attribute begins as a buffer or value, and no forward pass begins it anew."""
    lineage = ctx.classes.lineage(owner)
    places = [place for one in lineage for place in one.attributes.get(name, [])]
    before = [place for place in places if place.method is not None and place.method.name.value == "__init__"]
    anew = [
        place
        for place in places
        if place.method in methods and not (place.value is not None and _reads(place.value, name, ctx))
    ]
    tensor = all(place.kind in _HELD or _is_made_by_torch(place.value, ctx) for place in before)
    return bool(before) and tensor and not anew and ctx.tree.enclosing(node, cst.Lambda) is None


def _reads(value: cst.CSTNode, name: str, ctx: Context) -> bool:
    return any(ctx.names.self_attribute(each) == name for each in walk(value))


def _is_made_by_torch(value: cst.BaseExpression | None, ctx: Context) -> bool:
    return isinstance(value, cst.Call) and (ctx.names.full_name(value.func) or "").startswith("torch.")


def _report(node: cst.CSTNode, name: str, ctx: Context) -> None:
    assert isinstance(node, (cst.Assign, cst.AugAssign))
    ctx.report(
        node,
        f"`self.{name}` keeps the graph of every batch: each new value hangs on the input's graph and on the one "
        "before, so memory grows with each step, and a second backward raises RuntimeError; detach it",
        fix=ctx.fix(Safety.SAFE, _detached(node.value, ctx)),
    )


def _detached(value: cst.BaseExpression, ctx: Context) -> Edit | None:
    is_simple = bool(value.lpar) or isinstance(value, (cst.Name, cst.Attribute, cst.Call, cst.Subscript))
    if is_simple:
        return ctx.insert_after(value, ".detach()")
    return ctx.replace(value, f"({ctx.code(value)}).detach()")
