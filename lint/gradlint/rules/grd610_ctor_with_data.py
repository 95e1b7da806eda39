"""A layer class that is given the tensor, which makes a module instead of applying one.

## What it does
Reports `x = nn.ReLU(x)` in the methods that run in a forward pass: an activation, dropout, pooling or reshaping layer
whose constructor gets what surely is a tensor as its first argument.

## Why is this bad
The constructor takes options: `nn.ReLU(x)` is a module with `inplace=x`, and `nn.Sigmoid(x)` raises TypeError. The next
layer then gets a module for its input and raises TypeError as well; the activation is never applied.

## Example
```python
class Net(nn.Module):
    def forward(self, x):
        x = nn.ReLU(x)
        return x
```

## Use instead
```python
class Net(nn.Module):
    def forward(self, x):
        x = nn.ReLU()(x)
        return x
```

## Fix safety
Safe: the value was a module, with which nothing can be computed. Further arguments stay with the constructor. There
is no fix for a softmax without `dim`.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.forward_methods import running
from gradlint.semantics.layer_values import argument
from gradlint.semantics.layers import LinkKind, layer_kind
from gradlint.semantics.receivers import Receivers

_KINDS = (LinkKind.ACTIVATION, LinkKind.DROPOUT, LinkKind.POOL, LinkKind.RESHAPE)
_NEEDS_DIM = ("Softmax", "LogSoftmax", "Softmin")
_NUMBERS = frozenset(f"builtins.{name}" for name in ("bool", "int", "float", "str"))


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what runs in every module class of the file."""
    receivers = Receivers(ctx.tree, ctx.names, ctx.classes)
    for owner in ctx.classes.modules:
        for method in running(owner, ctx.classes, ctx.names):
            for call in ctx.tree.below(method.body, cst.Call):
                if _is_layer(call, ctx) and _is_given_data(call, method, receivers, ctx):
                    _report(call, ctx)


def _is_layer(call: cst.Call, ctx: Context) -> bool:
    kind = layer_kind(ctx.names.full_name(call.func) or "")
    above = ctx.tree.parent(call)
    applied = isinstance(above, cst.Call) and above.func is call
    return kind is not None and kind[0] in _KINDS and not applied


def _is_given_data(call: cst.Call, method: cst.FunctionDef, receivers: Receivers, ctx: Context) -> bool:
    first = call.args[0] if call.args else None
    if first is None or first.star or first.keyword is not None:
        return False
    return _is_tensor(first.value, method, receivers, ctx)


def _is_tensor(value: cst.BaseExpression, method: cst.FunctionDef, receivers: Receivers, ctx: Context) -> bool:
    """Whether an expression surely is a tensor: the input of `forward`, or what a layer or function of torch gave."""
    if isinstance(value, cst.Call):
        name = ctx.names.full_name(value.func) or ""
        functional = name.startswith("torch.nn.functional.")
        return functional or receivers.is_module(value.func) or _is_layer(value, ctx)
    if isinstance(value, cst.BinaryOperation):
        return any(_is_tensor(side, method, receivers, ctx) for side in (value.left, value.right))
    if not isinstance(value, cst.Name):
        return False
    bindings = ctx.names.reference(value).bindings
    values = [each.value for each in bindings if each.kind is BindingKind.ASSIGNMENT and each.value is not None]
    others = [each for each in bindings if each.kind is not BindingKind.ASSIGNMENT]
    if any(not _is_input(each.node, method, ctx) for each in others):
        return False
    if others:
        return True
    known = [one for one in values if not any(node is value for node in ctx.tree.walk(one))]
    plain = [one for one in known if not any(node.value == value.value for node in ctx.tree.below(one, cst.Name))]
    return bool(plain) and all(_is_tensor(one, method, receivers, ctx) for one in plain)


def _is_input(node: cst.CSTNode, method: cst.FunctionDef, ctx: Context) -> bool:
    """Whether a parameter is the first of `forward`, and not told to be a number."""
    given = [*method.params.posonly_params, *method.params.params][1:2]
    if method.name.value != "forward" or given != [node] or not isinstance(node, cst.Param):
        return False
    told = node.annotation
    return node.default is None and (told is None or ctx.names.full_name(told.annotation) not in _NUMBERS)


def _report(call: cst.Call, ctx: Context) -> None:
    short = (ctx.names.full_name(call.func) or "").rpartition(".")[2]
    rest = ", ".join(ctx.code(given).rstrip(", \n") for given in call.args[1:])
    unclear = short in _NEEDS_DIM and argument(call, 1, "dim") is None
    applied = f"{ctx.code(call.func)}({'dim=...' if unclear else rest})({ctx.code(call.args[0].value)})"
    ctx.report(
        call,
        f"`{short}` is given the tensor where it takes options: this makes a module and applies nothing; write "
        f"`{applied}`",
        fix=None if unclear else ctx.fix(Safety.SAFE, ctx.replace(call, applied)),
    )
