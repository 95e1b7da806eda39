"""A running statistic that keeps the graph of every batch it has seen.

## What it does
Reports `self.mean = momentum * self.mean + (1 - momentum) * x.mean(0)` and the like in what a module runs when it is
called, where the new value comes from the input with its graph; also with `+=`, and by a function of the file that is
given the statistic and returns it anew. Silent under `no_grad`, after
`detach()`, for counters, for states (`self.voltage += mask * x`), for parts of the loss, and where the forward pass
itself sets the attribute anew before.

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

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.forward_methods import running
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.input_values import InputValues
from gradlint.semantics.module_class import AttributeKind
from gradlint.semantics.reaching import reaching_value
from gradlint.semantics.statistics import Update, updates
from gradlint.semantics.untrained import Untrained
from gradlint.walk import walk
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.semantics.module_class import ModuleClass

# What a trainer adds to the loss and begins anew itself; its graph is wanted.
_PART_OF_THE_LOSS = re.compile(r"loss|penalt|regul|aux|cost|kl|energy|objective", re.IGNORECASE)
_FLOATING = words("mean var std norm var_mean std_mean lerp pow square sqrt exp abs max min amax amin sum")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what each module class adds to its own attributes when it is called."""
    inputs = InputValues(ctx.names, ctx.mode)
    for owner in ctx.classes.modules:
        methods = running(owner, ctx.classes, ctx.names)
        for update in (each for method in methods for each in updates(method, ctx.names)):
            if not _is_average(update, ctx) or not _is_statistic(update, owner, methods, ctx):
                continue
            if _is_recorded(update, ctx) and inputs.reaches(update.term, update.function):
                _report(update, ctx)


def _is_weighted(term: cst.BaseExpression) -> bool:
    return isinstance(term, cst.BinaryOperation) and isinstance(term.operator, (cst.Multiply, cst.Divide))


def _is_average(update: Update, ctx: Context) -> bool:
    """Whether a term is a weighted value or a reduction: no counter, and no state such as a neuron's voltage."""
    term = update.term
    called = (node.func for node in walk(term) if isinstance(node, cst.Call))
    if any(isinstance(one, cst.Attribute) and one.attr.value in _FLOATING for one in called):
        return True
    if not isinstance(update.node, cst.AugAssign) or not isinstance(term, cst.BinaryOperation):
        return _is_weighted(term)
    return _is_weighted(term) and any(_is_number(side, ctx) for side in (term.left, term.right))


def _is_number(value: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a value is a number, also one that a function of the file returns: `momentum = self.rate()`."""
    untrained = Untrained(ctx.tree, ctx.names, ctx.classes)
    if untrained.is_number(value):
        return True
    known = reaching_value(value, ctx.tree, ctx.names) if isinstance(value, cst.Name) else value
    target = ctx.calls.target(known) if isinstance(known, cst.Call) else None
    returned = [each.value for each in ctx.tree.below(target.body, cst.Return)] if target is not None else []
    return bool(returned) and all(map(untrained.is_number, returned))


def _is_recorded(update: Update, ctx: Context) -> bool:
    """Whether autograd records the update, and its term is no result of a method that records nothing."""
    if any(ctx.mode.at(place) is not Mode.ON for place in (update.node, update.term)):
        return False
    term = update.term
    names = (ctx.names.reference(node).binding for node in walk(term) if isinstance(node, cst.Name))
    values = (binding.value for binding in names if binding is not None)
    calls = [each for each in (*values, *walk(term)) if isinstance(each, cst.Call)]
    targets = (ctx.calls.target(call) for call in calls)
    return not any(target is not None and ctx.mode.at(target.body) is Mode.OFF for target in targets)


def _is_statistic(update: Update, owner: ModuleClass, methods: list[cst.FunctionDef], ctx: Context) -> bool:
    """Whether an attribute begins as a buffer or value, and no forward pass begins it anew."""
    name = update.name
    lineage = ctx.classes.lineage(owner)
    places = [place for one in lineage for place in one.attributes.get(name, [])]
    before = [place for place in places if place.method is not None and place.method.name.value == "__init__"]
    if not before or _PART_OF_THE_LOSS.search(name):
        return False
    tensor = all(place.kind is AttributeKind.BUFFER or _is_made_by_torch(place.value, ctx) for place in before)
    begun = tensor or (all(place.kind is AttributeKind.PLAIN for place in before) and _is_weighted(update.term))
    anew = [
        place
        for place in places
        if place.method in methods and place.value is not None and not _reads(place.value, name, ctx)
    ]
    return begun and not anew


def _reads(value: cst.CSTNode, name: str, ctx: Context) -> bool:
    return any(ctx.names.self_attribute(each) == name for each in ctx.tree.below(value, cst.Attribute))


def _is_made_by_torch(value: cst.BaseExpression | None, ctx: Context) -> bool:
    return isinstance(value, cst.Call) and (ctx.names.full_name(value.func) or "").startswith("torch.")


def _report(update: Update, ctx: Context) -> None:
    elsewhere = update.value is not update.node.value
    ctx.report(
        update.node,
        f"`self.{update.name}` keeps the graph of every batch: each new value hangs on the input's graph and on the "
        "one before, so memory grows with each step, and a second backward raises RuntimeError; detach it",
        fix=ctx.fix(Safety.SAFE, _detached(update.value, ctx)),
        related=[(update.value, "returned here with its graph")] if elsewhere else [],
    )


def _detached(value: cst.BaseExpression, ctx: Context) -> Edit | None:
    is_simple = bool(value.lpar) or isinstance(value, (cst.Name, cst.Attribute, cst.Call, cst.Subscript))
    if is_simple:
        return ctx.insert_after(value, ".detach()")
    return ctx.replace(value, f"({ctx.code(value)}).detach()")
