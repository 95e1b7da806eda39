"""A recurrent network is trained without clipping its gradients.

## What it does
Reports `optimizer.step()` after a `backward()` of the same function where the optimizer owns the parameters of an
`nn.RNN`, `nn.LSTM` or `nn.GRU`, or of a class of the file that holds one, and nothing in the file clips. Silent where a
framework trains (Lightning, accelerate, a Trainer), where a gradient scaler steps, and where the model or the optimizer
comes from elsewhere.

## Why is this bad
Backpropagation through time multiplies the gradient with the recurrent weight once a step. With singular values of 1.5
fifty steps make it 1.5**50 = 6e8 times as large: one such batch throws the weights far away, and the loss is NaN or
never recovers. LSTM and GRU guard against vanishing, not against this. `clip_grad_norm_` bounds the step and keeps its
direction.

## Example
```python
net = nn.LSTM(8, 32)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in [(torch.ones(5, 1, 8), torch.ones(5, 1, 32))]:
    loss = nn.functional.mse_loss(net(x)[0], y)
    loss.backward()
    optimizer.step()
```

## Use instead
```python
net = nn.LSTM(8, 32)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in [(torch.ones(5, 1, 8), torch.ones(5, 1, 32))]:
    loss = nn.functional.mse_loss(net(x)[0], y)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
```

## Fix safety
Unsafe: training changes, and the bound 1.0 is only the usual first choice.

## References
- https://arxiv.org/abs/1211.5063
- https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks

if TYPE_CHECKING:
    from gradlint.model import Fix

_RECURRENT: Final = re.compile(r"^torch\.nn\.(?:RNN|LSTM|GRU)(?:Cell)?$")
_OPTIMIZER: Final = re.compile(r"^torch\.optim\.[A-Z]\w*$")
_CLIPPING: Final = re.compile(r"clip|lightning|accelerat|Trainer\b|deepspeed|\.grad\b", re.IGNORECASE)
_CLIP: Final = "torch.nn.utils.clip_grad_norm_"


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at steps in files that clip nowhere."""
    function = call.func
    if not isinstance(function, cst.Attribute) or function.attr.value != "step" or call.args:
        return
    if _CLIPPING.search(ctx.source.text) is not None or not _follows_backward(call, ctx):
        return
    model = _model(function.value, ctx)
    made = _recurrent(model, ctx) if model is not None else None
    if model is not None and made is not None:
        shown = ctx.code(model)
        ctx.report(
            call,
            f"`{shown}` holds a recurrent layer, and nothing clips its gradient, which 50 steps with singular values "
            "of 1.5 make 1.5**50 = 6e8 times as large; call "
            f"clip_grad_norm_({shown}.parameters(), 1.0) before the step",
            fix=_fix(call, model, ctx),
            related=[(made, "the recurrent layer")],
        )


def _follows_backward(call: cst.Call, ctx: Context) -> bool:
    around = ctx.tree.enclosing(call, cst.FunctionDef)
    for other in ctx.tree.nodes(cst.Call):
        if other is call:
            return False
        named = isinstance(other.func, cst.Attribute) and other.func.attr.value == "backward"
        if named and ctx.tree.enclosing(other, cst.FunctionDef) is around:
            return True
    return False


def _model(optimizer: cst.BaseExpression, ctx: Context) -> cst.BaseExpression | None:
    """The one expression whose `parameters()` an optimizer of torch was made with."""
    origins = ctx.origins.of(optimizer)
    made = origins[0] if len(origins) == 1 else None
    if not isinstance(made, cst.Call) or not _OPTIMIZER.match(ctx.names.full_name(made.func) or "") or not made.args:
        return None
    given = made.args[0].value
    method = given.func if isinstance(given, cst.Call) and not given.args else None
    return method.value if isinstance(method, cst.Attribute) and method.attr.value == "parameters" else None


def _recurrent(model: cst.BaseExpression, ctx: Context) -> cst.CSTNode | None:
    """Where the recurrent layer of a model is made, in this file."""
    origins = ctx.origins.of(model)
    made = origins[0] if len(origins) == 1 else None
    name = ctx.classes.constructed(made)
    if made is not None and _RECURRENT.match(name or ""):
        return made
    owner = ctx.classes.named(name)
    for one in ctx.classes.lineage(owner) if owner is not None else ():
        for places in one.attributes.values():
            for place in places:
                if _RECURRENT.match(place.type or ""):
                    return place.node
    return None


def _fix(call: cst.Call, model: cst.BaseExpression, ctx: Context) -> Fix | None:
    statement = ctx.tree.statement(call)
    spelled = ctx.names.spelling(_CLIP, call)
    if not isinstance(statement, cst.SimpleStatementLine) or spelled is None or not isinstance(model, cst.Name):
        return None
    same = ctx.names.lookup(model.value, ctx.scopes.of(call)).scope is ctx.names.reference(model).scope
    if len(statement.body) != 1 or not same:
        return None
    return ctx.fix(Safety.UNSAFE, ctx.insert_line_above(statement, f"{spelled}({model.value}.parameters(), 1.0)"))
