"""An in-place operation on a tensor that autograd has saved as its operation's output.

## What it does
Follows the layers of each `Sequential` and each `forward` and reports a layer or function that works in place
(`nn.ReLU(inplace=True)`, `F.relu_`, `nn.Dropout(0.5, inplace=True)`) directly on what sigmoid, tanh, exp, relu,
softmax, log_softmax, sqrt, rsqrt or reciprocal gave. And statements such as `h += x`, `h[mask] = 0` and `h.mul_(2)`
after `h = torch.sigmoid(...)` in `forward`, in functions that call `backward()` and at the module's level. What goes
into the operation must surely carry a graph: it has passed a layer with parameters.

## Why is this bad
The derivative of `y = sigmoid(x)` is `y * (1 - y)`: autograd keeps `y` and counts its changes. In torch 2.13
`backward()` raises RuntimeError ("one of the variables needed for gradient computation has been modified by an inplace
operation"), for each of these operations and each kind of change, also through a view. Operations that save their
input (silu, gelu, sin, convolutions, normalisation) or a mask (dropout) do not mind.

## Example
```python
net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.5, inplace=True))
```

## Use instead
```python
net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.5))
```

## Fix safety
Safe: `h += x` becomes `h = h + x` and `inplace=True` goes; the numbers are the same. Unsafe where the variable has a
second name or is in a list, which saw the change before. No fix for `h[mask] = 0`: use `torch.where` or `masked_fill`.

## References
- https://docs.pytorch.org/docs/stable/notes/autograd.html#in-place-operations-with-autograd
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.held_modules import HeldModules
from gradlint.semantics.saved_output import SavedOutputs, in_place_flag
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.semantics.saved_output import Overwrite

_IN_PLACE: Final = words(
    "add_ sub_ mul_ div_ clamp_ clamp_min_ clamp_max_ masked_fill_ pow_ neg_ exp_ relu_ sigmoid_ tanh_ zero_ fill_"
    " copy_ abs_ sqrt_ lerp_ index_fill_ index_add_ scatter_ scatter_add_ squeeze_ unsqueeze_ addcmul_ addcdiv_"
)
_WITHOUT_TWIN: Final = words("zero_ fill_ copy_ index_fill_ index_add_ scatter_ scatter_add_ squeeze_ unsqueeze_")
_KEEPING: Final = words("append extend insert add setdefault")
_ATOMS: Final = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the chains first, then at the statements."""
    outputs = SavedOutputs(ctx.tree, ctx.names, ctx.classes, ctx.chains, HeldModules(ctx.tree, ctx.names, ctx.classes))
    seen: set[cst.CSTNode] = set()
    for chain in ctx.chains.all:
        forward = chain.owner.forward if chain.owner is not None else None
        recorded = forward is None or ctx.mode.at(forward.body.body[0]) is Mode.ON
        for found in outputs.by_layers(chain):
            if recorded and found.node not in seen:
                seen.add(found.node)
                _report(found, _layer_fix(found.node, ctx), ctx)
    for name in _changed(ctx):
        overwrite = outputs.by_statement(name) if _is_trained(name, ctx) else None
        if overwrite is not None and overwrite.node not in seen and ctx.mode.at(overwrite.saver) is Mode.ON:
            seen.add(overwrite.node)
            _report(overwrite, _statement_fix(name, overwrite, ctx), ctx)


def _report(found: Overwrite, fix: Fix | None, ctx: Context) -> None:
    what = f"`{found.name}`, the output of {found.word}," if found.name is not None else f"the output of {found.word}"
    ctx.report(
        found.node,
        f"this changes {what} in place, and {found.word} has saved it for its gradient: backward() raises RuntimeError "
        '("modified by an inplace operation"); make a new tensor',
        fix=fix,
        related=[(found.saver, f"{found.word} saves its output here")],
    )


def _is_trained(name: cst.Name, ctx: Context) -> bool:
    """Whether the code around is surely run in training: `forward` of a module, or code that calls `backward()`."""
    function = ctx.tree.enclosing(name, cst.FunctionDef)
    if function is None:
        return True
    owner = ctx.classes.enclosing(function)
    if function.name.value == "forward":
        return owner is not None and owner.is_module is True
    called = (word for word in ctx.tree.named("backward") if ctx.tree.call_of(word) is not None)
    return any(ctx.tree.holds(function.body, word) for word in called)


def _changed(ctx: Context) -> list[cst.Name]:
    """The variables that a statement changes in place, where they stand."""
    found: list[cst.Name] = []
    for augmented in ctx.tree.nodes(cst.AugAssign):
        base = augmented.target.value if isinstance(augmented.target, cst.Subscript) else augmented.target
        found += [base] if isinstance(base, cst.Name) else []
    for target in ctx.tree.nodes(cst.AssignTarget):
        if type(target.target) is cst.Subscript and type(target.target.value) is cst.Name:
            found.append(target.target.value)
    for call in ctx.tree.nodes(cst.Call):
        method = call.func if type(call.func) is cst.Attribute else None
        if method is not None and method.attr.value in _IN_PLACE and type(method.value) is cst.Name:
            found.append(method.value)
    return found


def _layer_fix(node: cst.CSTNode, ctx: Context) -> Fix | None:
    flag = in_place_flag(node)
    if not isinstance(node, cst.Call) or flag is None or isinstance(ctx.tree.parent(node), cst.Expr):
        return None
    given = next(each for each in node.args if each.value is flag)
    return ctx.fix(Safety.SAFE, ctx.drop_argument(node, given)) if given is node.args[-1] or given.keyword else None


def _statement_fix(name: cst.Name, found: Overwrite, ctx: Context) -> Fix | None:
    above = ctx.tree.parent(name)
    safety = Safety.UNSAFE if found.is_view or _has_second_name(name, ctx) else Safety.SAFE
    if isinstance(above, cst.AugAssign):
        operator = ctx.code(above.operator).strip().removesuffix("=")
        value = ctx.code(above.value)
        value = value if isinstance(above.value, _ATOMS) else f"({value})"
        return ctx.fix(safety, ctx.replace(above, f"{name.value} = {name.value} {operator} {value}"))
    call = ctx.tree.parent(above) if isinstance(above, cst.Attribute) else None
    if not isinstance(above, cst.Attribute) or not isinstance(call, cst.Call) or above.attr.value in _WITHOUT_TWIN:
        return None
    if not isinstance(ctx.tree.parent(call), cst.Expr):
        return None
    twin = ctx.replace(above.attr, above.attr.value.removesuffix("_"))
    return ctx.fix(safety, ctx.insert_before(call, f"{name.value} = "), twin)


def _has_second_name(name: cst.Name, ctx: Context) -> bool:
    """Whether the tensor is also kept elsewhere before: `other = h`, `kept.append(h)`, `[h]`."""
    around = ctx.tree.enclosing(name, cst.FunctionDef) or ctx.tree.module
    for node in ctx.tree.walk(around):
        if node is name:
            return False
        if isinstance(node, cst.Name) and node.value == name.value:
            above = ctx.tree.parent(node)
            call = ctx.tree.parent(above) if isinstance(above, cst.Arg) else None
            method = call.func if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) else None
            kept = method is not None and method.attr.value in _KEEPING
            if kept or isinstance(above, (cst.Element, cst.DictElement)):
                return True
            if isinstance(above, cst.Assign) and above.value is node:
                return True
    return False
