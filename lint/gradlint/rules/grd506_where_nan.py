"""`torch.where` around a function that has no derivative where the other branch is taken.

## What it does
Reports `torch.where(x > 0, torch.sqrt(x), 0)` and the like: a branch with a square root, logarithm, division, negative
or fractional power, `acos` or `asin` of the value that the condition tests against its singular point. Silent where the
argument is clamped, replaced by another `where`, or has a number added, without gradients, and in functions that the
file calls from neither a forward pass nor a loss; a division is told only where one of these calls it.

## Why is this bad
Both branches are computed, and the gradient of the branch that is not taken is multiplied by 0. The derivative of
`sqrt` at 0 is infinite, below 0 it is NaN: 0 * inf and 0 * NaN are NaN. `where` hides the value, not the gradient.

## Example
```python
def root_loss(x):
    return torch.where(x > 0, torch.sqrt(x), 0.0).sum()
```

## Use instead
```python
def root_loss(x):
    return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, 1.0)), 0.0).sum()
```

## Fix safety
Unsafe: the values stay the same, the gradients do not. Where the branch is not taken, the argument becomes
a number that the function has a derivative at: 1 for roots, logarithms and divisions, 0 for `acos`, 2 for `acosh`.

## References
- https://github.com/pytorch/pytorch/issues/23395
- https://github.com/pytorch/pytorch/issues/68425
"""

from __future__ import annotations

import libcst as cst

from gradlint.constants import number
from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.differentiated import Differentiated
from gradlint.semantics.elementwise import applied, is_guarded, power

_EDGES = {"acos": (-1, 1), "asin": (-1, 1), "arccos": (-1, 1), "arcsin": (-1, 1), "atanh": (-1, 1), "acosh": (1,)}
_DIVISION = "the division"
_ZERO = ("log", "log2", "log10")
#: What stands in for the argument where its branch is not taken: a point at which the function has a derivative.
_SAFE: dict[tuple[float, ...], str] = {(0,): "1.0", (-1, 1): "0.0", (1,): "2.0"}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every `torch.where` with three arguments."""
    places = Differentiated(ctx.tree, ctx.names, ctx.classes, ctx.calls, ctx.mode, ctx.graphs)
    for call in ctx.tree.nodes(cst.Call):
        if ctx.names.full_name(call.func) != "torch.where" or len(call.args) != 3:
            continue
        if any(given.star or given.keyword is not None for given in call.args) or not places.may_hold(call):
            continue
        condition = _followed(call.args[0].value, ctx)
        for index in (1, 2):
            _look(call, condition, index, places, ctx)


def _followed(value: cst.BaseExpression, ctx: Context) -> cst.BaseExpression:
    """The condition itself, or the one that a local variable holds."""
    binding = ctx.names.reference(value).binding if isinstance(value, cst.Name) else None
    local = binding is not None and binding.kind is BindingKind.ASSIGNMENT and binding.scope is ctx.scopes.of(value)
    return binding.value if local and binding is not None and binding.value is not None else value


def _look(call: cst.Call, condition: cst.BaseExpression, index: int, places: Differentiated, ctx: Context) -> None:
    for node in ctx.tree.walk(call.args[index].value):
        inner, edges, word = _singular(node, ctx)
        if inner is None or not _tests(condition, inner, edges, ctx) or is_guarded(inner, ctx.names):
            continue
        # What is divided by is as often a count as a number of the network's.
        if word == _DIVISION and not places.holds(call):
            continue
        if places.is_untrained(inner) or (condition is not call.args[0].value and _is_made_anew(inner, ctx)):
            continue
        ctx.report(
            node,
            f"`where` hides the value of this branch, not its gradient: where the other one is taken, {word} has an "
            "infinite or undefined derivative, and 0 times that is NaN; replace the argument there, too: "
            f"`{_double(call, inner, index, _SAFE[edges], ctx)}`",
            fix=_fix(call, inner, index, _SAFE[edges], ctx),
            related=[(call.args[0].value, "the condition")],
        )
        return


def _is_made_anew(inner: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a variable is assigned more than once: a condition asked before may speak of another value."""
    return isinstance(inner, cst.Name) and len(ctx.names.reference(inner).bindings) > 1


def _singular(node: cst.CSTNode, ctx: Context) -> tuple[cst.BaseExpression | None, tuple[float, ...], str]:
    """The argument of a function that has no derivative at some points, those points, and the function's name."""
    for function in (*_ZERO, *_EDGES):
        inner = applied(node, function, ctx.names)
        if inner is not None:
            return inner, _EDGES.get(function, (0,)), f"`{function}`"
    found = power(node, ctx.names)
    if found is not None and (found[1] < 0 or 0 < found[1] < 1):
        word = _DIVISION if found[1] == -1 else "the square root" if found[1] == 0.5 else "the power"
        return found[0], (0,), word
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide):
        return node.right, (0,), _DIVISION
    return None, (), ""


def _tests(condition: cst.BaseExpression, inner: cst.BaseExpression, edges: tuple[float, ...], ctx: Context) -> bool:
    """Whether a condition compares the argument itself with one of the points."""
    if not isinstance(condition, cst.Comparison) or len(condition.comparisons) != 1:
        return False
    (against,) = condition.comparisons
    left, right = condition.left, against.comparator
    if isinstance(left, cst.Call) and isinstance(left.func, cst.Attribute) and left.func.attr.value == "abs":
        left = left.func.value
    bare = inner.with_changes(lpar=(), rpar=())
    return left.with_changes(lpar=(), rpar=()).deep_equals(bare) and number(right, ctx.names) in edges


def _double(call: cst.Call, inner: cst.BaseExpression, index: int, safe: str, ctx: Context) -> str:
    """The argument, with a safe number in its place where its branch is not taken."""
    condition, argument = ctx.code(call.args[0].value), ctx.code(inner.with_changes(lpar=(), rpar=()))
    chosen = f"{argument}, {safe}" if index == 1 else f"{safe}, {argument}"
    return f"{ctx.code(call.func)}({condition}, {chosen})"


def _fix(call: cst.Call, inner: cst.BaseExpression, index: int, safe: str, ctx: Context) -> Fix | None:
    return ctx.fix(Safety.UNSAFE, ctx.replace(inner, _double(call, inner, index, safe, ctx)))
