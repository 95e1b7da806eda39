"""A loss copied into a new tensor, which cuts it off from the network.

## What it does
Reports `torch.tensor(loss, requires_grad=True)` and `Variable(loss, requires_grad=True)` of a value that comes from a
call and is or is named a loss, and of any value that is not written in the code where `backward()` of the copy itself
is followed by the step of an optimizer. Reports as well `loss.requires_grad = True` and `loss.requires_grad_()` just
before `loss.backward()`.

## Why is this bad
`torch.tensor` copies the number, not the graph. `backward()` on the copy runs without complaint and ends there: the
gradient of every parameter stays None and nothing is learnt. `requires_grad=True` only hides the error that torch
would otherwise raise. A copy by `Variable` has no graph either. `loss.requires_grad = True` raises RuntimeError where
the loss has a graph, so where it runs it hides the same error; `loss.requires_grad_()` does nothing to a graph.

## Example
```python
layer = nn.Linear(2, 1)
loss = nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1))
loss = torch.tensor(loss, requires_grad=True)
loss.backward()
```

## Use instead
```python
layer = nn.Linear(2, 1)
loss = nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1))
loss.backward()
```

## Fix safety
Unsafe: parameters that never changed begin to be trained. The call is replaced by what it copies.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.tensor.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.constants import UNKNOWN, constant
from gradlint.model import Level, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import Binding, BindingKind
from gradlint.semantics.layer_values import argument
from gradlint.semantics.own_backward import OwnBackward
from gradlint.semantics.reaching import reaching_value
from gradlint.walk import walk
from gradlint.words import words

_COPYING = frozenset({"torch.tensor", "torch.autograd.Variable", "torch.autograd.variable.Variable"})
_FACTORIES = words(
    "tensor zeros ones rand randn empty full arange linspace eye zeros_like ones_like rand_like randn_like from_numpy"
    " as_tensor array Tensor FloatTensor"
)
_ENDS_GRAPH = frozenset({"item", "numpy", "detach", "tolist", "no_grad"})


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every call that makes a leaf of its first argument, or of its receiver."""
    if isinstance(call.func, cst.Attribute) and call.func.attr.value == "requires_grad_":
        if not call.args or constant(call.args[0].value, ctx.names) is True:
            _look_at_switch(call.func.value, call, ctx)
        return
    name = ctx.names.full_name(call.func)
    if name not in _COPYING or constant(argument(call, -1, "requires_grad"), ctx.names) is not True:
        return
    copied = argument(call, 0, "data")
    if copied is None:
        return
    cut = isinstance(copied, cst.Attribute) and copied.attr.value == "data"
    source = copied.value if cut and isinstance(copied, cst.Attribute) else copied
    if _is_loss(source, ctx):
        ctx.report(
            call,
            f"`{ctx.code(call)}` is a copy without the graph: backward() ends here and the gradient of every parameter "
            f"stays None; use `{ctx.code(source)}` itself",
            fix=ctx.fix(Safety.UNSAFE, ctx.replace(call, ctx.code(source))),
        )
    elif not _is_written(copied, ctx):
        backward = OwnBackward(ctx.tree, ctx.names).itself(call)
        if backward is not None and _is_stepped(backward, ctx) and not _is_handed_on(ctx.tree.parent(call), ctx):
            ctx.report(
                call,
                f"`{ctx.code(call)}` is a new leaf: its backward() ends here, the gradient of every parameter stays "
                "None; compute the loss from the output of the network with operations of torch",
                related=[(backward, "where it is differentiated")],
            )


@checks(cst.Assign)
def check_assignment(assign: cst.Assign, ctx: Context) -> None:
    """Look at `loss.requires_grad = True`."""
    place = assign.targets[0].target
    if len(assign.targets) != 1 or not isinstance(place, cst.Attribute) or place.attr.value != "requires_grad":
        return
    if constant(assign.value, ctx.names) is True:
        _look_at_switch(place.value, assign, ctx)


def _look_at_switch(loss: cst.BaseExpression, switch: cst.Assign | cst.Call, ctx: Context) -> None:
    if not isinstance(loss, cst.Name):
        return
    backward = OwnBackward(ctx.tree, ctx.names).later(loss, switch)
    value = reaching_value(loss, ctx.tree, ctx.names)
    if backward is None or (value is not None and _is_written(value, ctx)):
        return
    if all(each.kind is BindingKind.PARAMETER for each in ctx.names.reference(loss).bindings):
        return
    if not _is_stepped(backward, ctx) or _is_read(loss.value, switch, ctx):
        return
    raises = "raises RuntimeError" if isinstance(switch, cst.Assign) else "does nothing"
    ctx.report(
        switch,
        f"where `{loss.value}` has a graph this {raises}, where it has none it hides torch's error that backward() "
        "reaches no parameter; delete it, and find where the graph ends",
        level=None if isinstance(switch, cst.Assign) else Level.WARNING,
        related=[(backward, "where it is differentiated")],
    )


def _is_written(value: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a value is written in the code, or made by a factory of torch or numpy: a leaf on purpose."""
    if isinstance(value, cst.Call):
        name = ctx.names.full_name(value.func) or ""
        return name.startswith(("torch.", "numpy.")) and name.rpartition(".")[2] in _FACTORIES
    several = value.elements if isinstance(value, (cst.List, cst.Tuple)) else ()
    if several:
        return all(_is_written(each.value, ctx) for each in several)
    return constant(value, ctx.names) is not UNKNOWN


def _is_handed_on(above: cst.CSTNode | None, ctx: Context) -> bool:
    """Whether the variable that a new leaf is assigned to gives its gradient to something else: `y.grad`."""
    target = above.targets[0].target if isinstance(above, cst.Assign) else None
    return isinstance(target, cst.Name) and _is_read(target.value, target, ctx)


def _is_read(leaf: str, place: cst.CSTNode, ctx: Context) -> bool:
    """Whether the function around a place reads the gradient of a variable."""
    function = ctx.tree.enclosing(place, cst.FunctionDef) or ctx.tree.module
    return any(
        node.attr.value == "grad" and isinstance(node.value, cst.Name) and node.value.value == leaf
        for node in ctx.tree.below(function, cst.Attribute)
    )


def _is_stepped(backward: cst.Call, ctx: Context) -> bool:
    """Whether the same function has an optimizer step below."""
    scope = ctx.tree.enclosing(backward, cst.FunctionDef, cst.Lambda)
    place = ctx.tree.place(backward)
    for call in ctx.tree.nodes(cst.Call):
        method = call.func if isinstance(call.func, cst.Attribute) else None
        if method is None or method.attr.value != "step" or ctx.tree.place(call) < place:
            continue
        if ctx.tree.enclosing(call, cst.FunctionDef, cst.Lambda) is scope:
            return True
    return False


def _is_loss(source: cst.BaseExpression, ctx: Context) -> bool:
    """A call of a loss, or a local variable named a loss that comes from some call."""
    if isinstance(source, cst.Call):
        return _is_loss_call(source, ctx)
    if not isinstance(source, cst.Name):
        return False
    bindings = [
        binding
        for binding in ctx.names.reference(source).bindings
        if not any(node is source for node in walk(binding.value or binding.node))
    ]
    named = "loss" in source.value.lower() or source.value in ("cost", "criterion_value")
    values = [binding.value for binding in bindings]
    return (
        bool(bindings)
        and all(map(_may_hold_graph, bindings))
        and any(isinstance(value, cst.Call) and (named or _is_loss_call(value, ctx)) for value in values)
        and all(isinstance(value, cst.Call) or constant(value, ctx.names) is UNKNOWN for value in values)
    )


def _may_hold_graph(binding: Binding) -> bool:
    if binding.kind is not BindingKind.ASSIGNMENT or binding.value is None:
        return False
    ended = (node.attr.value for node in walk(binding.value) if isinstance(node, cst.Attribute))
    is_number = isinstance(binding.value, cst.Call) and getattr(binding.value.func, "value", "") in (
        "float",
        "int",
        "sum",
    )
    return not is_number and not any(name in _ENDS_GRAPH for name in ended)


def _is_loss_call(call: cst.Call, ctx: Context) -> bool:
    name = ctx.names.full_name(call.func) or ""
    if name.startswith("torch.nn.functional."):
        return name.endswith(("_loss", "cross_entropy", "kl_div", "cross_entropy_with_logits"))
    binding = ctx.names.reference(call.func).binding if isinstance(call.func, cst.Name) else None
    made = ctx.classes.constructed(binding.value) if binding is not None else ctx.classes.constructed(call.func)
    return made is not None and made.startswith("torch.nn.") and made.endswith("Loss")
