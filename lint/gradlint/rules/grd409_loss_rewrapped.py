"""A loss copied into a new tensor, which cuts it off from the network.

## What it does
Reports `torch.tensor(loss, requires_grad=True)` and `Variable(loss.data, requires_grad=True)` of a value that comes
from a call and is or is named a loss.

## Why is this bad
`torch.tensor` copies the number, not the graph. `backward()` on the copy runs without complaint and ends there: the
gradient of every parameter stays None and nothing is learnt. `requires_grad=True` only hides the error that torch
would otherwise raise.

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
from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import Binding, BindingKind
from gradlint.semantics.layer_values import argument
from gradlint.walk import walk

_COPYING = frozenset({"torch.tensor", "torch.autograd.Variable", "torch.autograd.variable.Variable"})
_ENDS_GRAPH = frozenset({"item", "numpy", "detach", "tolist", "no_grad"})


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every call that makes a leaf of its first argument."""
    name = ctx.names.full_name(call.func)
    if name not in _COPYING or constant(argument(call, -1, "requires_grad"), ctx.names) is not True:
        return
    copied = argument(call, 0, "data")
    cut = isinstance(copied, cst.Attribute) and copied.attr.value == "data"
    source = copied.value if cut and isinstance(copied, cst.Attribute) else copied
    if source is None or (name != "torch.tensor" and not cut) or not _is_loss(source, ctx):
        return
    ctx.report(
        call,
        f"`{ctx.code(call)}` is a copy without the graph: backward() ends here and the gradient of every parameter "
        f"stays None; use `{ctx.code(source)}` itself",
        fix=ctx.fix(Safety.UNSAFE, ctx.replace(call, ctx.code(source))),
    )


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
