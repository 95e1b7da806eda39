"""The logarithm of a softmax or sigmoid, whose gradient is NaN where the probability rounds to zero.

## What it does
Reports `log` of a softmax or sigmoid: of the functions, the tensor methods and the layers, nested in one expression
or through a variable that is bound once, also of a part of it: `log(p.gather(1, y))`, `log(p[:, 0])`.
`log(p.clamp(...))` and `log(p + eps)` stay silent.

## Why is this bad
In float32 a softmax gives exactly 0 for logits 104 below the largest, a sigmoid for logits below -89: the log is -inf
and its gradient NaN, which one step of the optimizer spreads over all parameters. For the logits [200, 0],
`log_softmax` gives -200 and a finite gradient.

## Example
```python
logp = torch.log(torch.softmax(torch.randn(8, 10), dim=-1))
```

## Use instead
```python
logp = torch.log_softmax(torch.randn(8, 10), dim=-1)
```

## Fix safety
Safe: the value is the same wherever the old one was finite. There is no fix through a variable, nor where `log` has
further arguments.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html
- https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind, ScopeKind
from gradlint.semantics.module_class import AttributeKind
from gradlint.words import words

_ROUNDS_TO_ZERO = {"softmax": "logits 104 apart in float32", "sigmoid": "a logit below -89 in float32"}
_SOFT = {"softmax": "log_softmax", "sigmoid": "logsigmoid"}
_FUNCTIONS = {
    **{f"{home}.{soft}": soft for home in ("torch", "torch.nn.functional", "torch.special") for soft in _SOFT},
    "torch.special.expit": "sigmoid",
}
_LAYERS = {"torch.nn.Softmax": "softmax", "torch.nn.Sigmoid": "sigmoid"}
_TAKING = words("gather squeeze unsqueeze view reshape flatten select index_select contiguous")
_LOGS = frozenset({"torch.log", "torch.log_"})


@checks(cst.Call)
def check(log: cst.Call, ctx: Context) -> None:
    """Look at every logarithm."""
    inner = _argument_of_log(log, ctx)
    through = _whole(inner, ctx)
    if isinstance(through, cst.Name):
        through = _whole(_only_value(through, ctx), ctx)
    soft = _soft(through, ctx) if isinstance(through, cst.Call) else None
    if soft is None or not isinstance(through, cst.Call):
        return
    fused = _SOFT[soft]
    ctx.report(
        log,
        f"log of a {soft}: where the probability rounds to 0 ({_ROUNDS_TO_ZERO[soft]}) it is -inf and its "
        f"gradient NaN; {fused} computes it in one stable step",
        fix=_fix(log, through, soft, ctx) if through is inner else None,
        related=[] if through is inner else [(through, f"the {soft}")],
    )


def _argument_of_log(log: cst.Call, ctx: Context) -> cst.BaseExpression | None:
    """`x` of `torch.log(x)` or `x.log()`."""
    if ctx.names.full_name(log.func) in _LOGS:
        first = log.args[0] if log.args else None
        return first.value if first is not None and not first.star and first.keyword is None else None
    is_method = type(log.func) is cst.Attribute and log.func.attr.value in ("log", "log_") and not log.args
    return log.func.value if is_method and isinstance(log.func, cst.Attribute) else None


def _whole(value: cst.BaseExpression | None, ctx: Context) -> cst.BaseExpression | None:
    """`p` of `p[:, 0]`, `p.gather(1, y)` and `torch.gather(p, 1, y)`: a part of the probabilities."""
    while True:
        if isinstance(value, cst.Subscript):
            value = value.value
        elif isinstance(value, cst.Call) and ctx.names.full_name(value.func) == "torch.gather" and value.args:
            value = value.args[0].value
        elif isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and value.func.attr.value in _TAKING:
            value = value.func.value
        else:
            return value


def _only_value(name: cst.Name, ctx: Context) -> cst.BaseExpression | None:
    """What a local variable is, unless it is bound again or changed in place."""
    binding = ctx.names.reference(name).binding
    if binding is None or binding.kind is not BindingKind.ASSIGNMENT or binding.scope is not ctx.scopes.of(name):
        return None
    if binding.scope.kind not in (ScopeKind.FUNCTION, ScopeKind.MODULE):
        return None
    for call in ctx.tree.nodes(cst.Call):
        method = call.func
        in_place = isinstance(method, cst.Attribute) and method.attr.value.endswith("_") and method.value
        if isinstance(in_place, cst.Name) and in_place.value == name.value:
            return None
    return binding.value


def _soft(call: cst.Call, ctx: Context) -> str | None:
    """Which of the two a call computes."""
    function = call.func
    named = _FUNCTIONS.get(ctx.names.full_name(function) or "")
    if named is not None:
        return named
    if isinstance(function, cst.Call):  # nn.Softmax(dim=1)(x)
        return _LAYERS.get(ctx.names.full_name(function.func) or "")
    attribute = ctx.names.self_attribute(function)
    owner = ctx.classes.enclosing(call)
    if attribute is not None and owner is not None:
        place = owner.attribute(attribute)
        return _LAYERS.get(place.type or "") if place is not None and place.kind is AttributeKind.LAYER else None
    if isinstance(function, cst.Attribute) and function.attr.value in _SOFT and _is_tensor_method(function, call, ctx):
        return function.attr.value
    return None


def _is_tensor_method(function: cst.Attribute, call: cst.Call, ctx: Context) -> bool:
    """Whether `x.softmax(-1)` is a method of a tensor: what `x` is may be unknown, but it is no module or class."""
    root: cst.CSTNode = function.value
    while isinstance(root, (cst.Attribute, cst.Subscript, cst.Call)):
        root = root.func if isinstance(root, cst.Call) else root.value
    bindings = ctx.names.reference(root).bindings if isinstance(root, cst.Name) else ()
    plain = not any(binding.kind in (BindingKind.IMPORT, BindingKind.CLASS) for binding in bindings)
    from_torch = (ctx.names.full_name(root) or "").startswith("torch") if isinstance(root, cst.Name) else False
    axis_only = len(call.args) <= 1 if function.attr.value == "softmax" else not call.args
    return (plain or (from_torch and isinstance(function.value, cst.Call))) and axis_only


def _fix(log: cst.Call, inner: cst.Call, soft: str, ctx: Context) -> Fix | None:
    in_place = isinstance(log.func, cst.Attribute) and log.func.attr.value == "log_"
    if in_place or len(log.args) > 1:
        return None
    fused = _fused(inner, soft, ctx)
    return ctx.fix(Safety.SAFE, ctx.replace(log, fused)) if fused is not None else None


def _fused(inner: cst.Call, soft: str, ctx: Context) -> str | None:
    """The call of the fused function with the same arguments."""
    function = inner.func
    arguments = ctx.code(inner)[len(ctx.code(function)) :]
    if isinstance(function, cst.Call) or ctx.names.self_attribute(function) is not None:
        return None
    if soft == "softmax" and isinstance(function, cst.Attribute):
        return f"{ctx.code(function.value)}.log_softmax{arguments}"
    name = "log_softmax" if soft == "softmax" else "logsigmoid"
    spelled = ctx.names.spelling(f"torch.nn.functional.{name}", inner)
    if spelled is None:
        return None
    is_method = ctx.names.full_name(function) not in _FUNCTIONS and isinstance(function, cst.Attribute)
    return f"{spelled}({ctx.code(function.value)})" if is_method else spelled + arguments  # type: ignore[attr-defined]
