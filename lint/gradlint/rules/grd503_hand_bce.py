"""A binary cross-entropy written out by hand, with log(p) and log(1 - p).

## What it does
Reports sums in which `log(p)` and `log(1 - p)` of the same `p` are weighted, as in
`-(y * log(p) + (1 - y) * log(1 - p))`, in a forward pass, a loss, or where `p` comes from a sigmoid. Silent where `p`
is clamped, or an epsilon is added to it.

## Why is this bad
A sigmoid in float32 is exactly 1 from a logit of 17 on. There `log(1 - p)` is -inf, which a target of 1 multiplies by
0: the loss and every gradient are NaN although the answer was right. `binary_cross_entropy` clamps the logarithms at
-100, and `binary_cross_entropy_with_logits` never forms `p`: loss and gradient are finite at every logit.

## Example
```python
def loss(logits, y):
    p = torch.sigmoid(logits)
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()
```

## Use instead
```python
def loss(logits, y):
    return nn.functional.binary_cross_entropy_with_logits(logits, y)
```

## Fix safety
Unsafe: `binary_cross_entropy(p, y)` takes the place of the sum; the value is the same wherever the old one was finite,
and the targets must have the dtype of the probabilities. With other weights than a target there is no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
"""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from gradlint.constants import number
from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.differentiated import Differentiated
from gradlint.semantics.elementwise import applied, is_guarded

_SIGMOIDS = frozenset({"torch.sigmoid", "torch.nn.functional.sigmoid", "torch.special.expit"})


@dataclass(frozen=True)
class _Term:
    """One `weight * log(inner)` of a sum."""

    weight: cst.BaseExpression | None
    inner: cst.BaseExpression


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the sums and differences that are no part of a larger one."""
    places = Differentiated(ctx.tree, ctx.names, ctx.classes, ctx.calls, ctx.mode, ctx.graphs)
    seen: set[cst.CSTNode] = set()
    for operation in ctx.tree.nodes(cst.BinaryOperation):
        if operation in seen or not isinstance(operation.operator, (cst.Add, cst.Subtract)):
            continue
        seen.update(ctx.tree.below(operation, cst.BinaryOperation))
        pair = _pair(operation, ctx)
        if pair is None or _is_safe(pair[0].inner, ctx):
            continue
        if _comes_from_sigmoid(pair[0].inner, ctx) or places.holds(operation):
            _report(operation, *pair, ctx)


def _pair(operation: cst.BinaryOperation, ctx: Context) -> tuple[_Term, _Term] | None:
    """The terms with `log(p)` and `log(1 - p)`, at least one of them weighted."""
    terms = [_term(side, ctx) for side in _sides(operation)]
    known = [term for term in terms if term is not None]
    for one in known:
        for other in known:
            complement = _complement(other.inner, ctx)
            if complement is not None and complement.deep_equals(_bare(one.inner)) and (one.weight or other.weight):
                return one, other
    return None


def _sides(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(value, cst.UnaryOperation):
        return _sides(value.expression)
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, (cst.Add, cst.Subtract)):
        return [*_sides(value.left), *_sides(value.right)]
    return [value]


def _term(value: cst.BaseExpression, ctx: Context) -> _Term | None:
    inner = applied(value, "log", ctx.names)
    if inner is not None:
        return _Term(None, inner)
    if not isinstance(value, cst.BinaryOperation) or not isinstance(value.operator, cst.Multiply):
        return None
    for side, other in ((value.left, value.right), (value.right, value.left)):
        inner = applied(side, "log", ctx.names)
        if inner is not None:
            return _Term(other, inner)
    return None


def _complement(value: cst.BaseExpression, ctx: Context) -> cst.BaseExpression | None:
    """`p` of `1 - p`."""
    is_difference = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Subtract)
    if not is_difference or not isinstance(value, cst.BinaryOperation) or number(value.left, ctx.names) != 1:
        return None
    return _bare(value.right)


def _bare(value: cst.BaseExpression) -> cst.BaseExpression:
    return value.with_changes(lpar=(), rpar=())


def _is_safe(value: cst.BaseExpression, ctx: Context) -> bool:
    """Whether the probability is kept away from 0 and 1, where it is used or where it is made, or is a number."""
    if is_guarded(value, ctx.names):
        return True
    names = ctx.tree.below(value, cst.Name)
    bindings = [binding for name in names for binding in ctx.names.reference(name).bindings]
    made = [binding.value for binding in bindings if binding.value is not None]
    return any(is_guarded(one, ctx.names) or number(one, ctx.names) is not None for one in made)


def _comes_from_sigmoid(value: cst.BaseExpression, ctx: Context) -> bool:
    binding = ctx.names.reference(value).binding if isinstance(value, cst.Name) else None
    made = binding.value if binding is not None and binding.kind is BindingKind.ASSIGNMENT else value
    named = isinstance(made, cst.Call) and ctx.names.full_name(made.func) in _SIGMOIDS
    return named or applied(made, "sigmoid", ctx.names) is not None


def _report(operation: cst.BinaryOperation, one: _Term, other: _Term, ctx: Context) -> None:
    ctx.report(
        operation,
        "binary cross-entropy by hand: where the probability rounds to 0 or 1 (a sigmoid does from a logit of 17 on in "
        "float32) a logarithm is -inf, and 0 * -inf = NaN; use `binary_cross_entropy_with_logits` on the logits",
        fix=ctx.fix(Safety.UNSAFE, _fused(operation, one, other, ctx)),
    )


def _fused(operation: cst.BinaryOperation, one: _Term, other: _Term, ctx: Context) -> Edit | None:
    """`-binary_cross_entropy(p, y)` for `y * log(p) + (1 - y) * log(1 - p)`, without the sign where it has one."""
    weight = _complement(other.weight, ctx) if other.weight is not None else None
    spelled = ctx.names.spelling("torch.nn.functional.binary_cross_entropy", operation)
    plain = isinstance(operation.operator, cst.Add) and len(_sides(operation)) == 2
    signed = any(isinstance(side, cst.UnaryOperation) for side in (operation.left, operation.right))
    if weight is None or one.weight is None or spelled is None or not plain or signed:
        return None
    if not weight.deep_equals(_bare(one.weight)):
        return None
    fused = f'{spelled}({ctx.code(_bare(one.inner))}, {ctx.code(_bare(one.weight))}, reduction="none")'
    above = ctx.tree.parent(operation)
    if isinstance(above, cst.UnaryOperation) and isinstance(above.operator, cst.Minus):
        return ctx.replace(above, fused)
    return ctx.replace(operation, f"-{fused}")
