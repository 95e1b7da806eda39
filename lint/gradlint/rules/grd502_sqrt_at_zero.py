"""The square root of a sum of squares, whose gradient at zero is NaN.

## What it does
Reports `sqrt` (also `** 0.5`) of a sum or mean of squares, of a mean squared error, or of 1 - x**2, in what a module
runs in its forward pass or in a loss, where nothing keeps it from being zero. Silent with an epsilon or a clamp to a
positive number inside, without gradients, on what comes from nothing trained (grids, buffers, options), on the weights
of a layer, on widths, deviations, exponentials and sums with fresh noise, on the data as the network gets it, and in
code that measures or decodes.

Precision: no finding in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0, pytorch-lightning 2.6.6 and
d2l 1.0.3; 21 in 265 further packages of the index, 20 of them right (the other is printed only). Without these gates it
was 20 of 46.

## Why is this bad
The derivative is 1 / (2 sqrt(s)), infinite at zero, and the chain rule multiplies it by the derivative of the squares,
which is zero: inf * 0 = NaN. Two equal rows, a padded sample or a perfect fit is enough, and one step of the optimizer
spreads the NaN over all parameters. `x.pow(2).sum().sqrt()` at x = 0 has the gradient NaN; `torch.linalg.vector_norm`
gives 0 there.

## Example
```python
def distance_loss(a, b):
    return torch.sqrt(((a - b) ** 2).sum(dim=-1)).mean()
```

## Use instead
```python
def distance_loss(a, b):
    return torch.linalg.vector_norm(a - b, dim=-1).mean()
```

## Fix safety
Unsafe: the last digits may change. Where the sum is that of one tensor the norm takes its place, elsewhere 1e-12 is
added under the root, which changes distances below 1e-6. An epsilon outside of the root does not help the gradient.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html
- https://github.com/4uiiurz1/pytorch-arcface/issues/91
- https://github.com/pyg-team/pytorch_geometric/issues/2559
"""

from __future__ import annotations

import re

import libcst as cst

from gradlint.constants import number
from gradlint.model import Edit, Fix, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.above_zero import AboveZero
from gradlint.semantics.differentiated import Differentiated, is_loss, names_around
from gradlint.semantics.elementwise import clamped_at_zero, is_guarded, power
from gradlint.semantics.layer_values import argument
from gradlint.semantics.module_class import AttributeKind
from gradlint.semantics.reaching import reaching_value
from gradlint.semantics.shown import SHOWING, SHOWN_BY
from gradlint.semantics.untrained import Untrained

_SUMS = frozenset({"torch.sum", "torch.mean", "torch.nansum"})
_ERRORS = frozenset({"torch.nn.functional.mse_loss"})
_WIDTH = re.compile(r"_?(?:sigma|std|scale|width|radius)s?(?:_?\d+|_[a-z]\d?)?", re.IGNORECASE)
_SHAPING = frozenset({"permute", "transpose", "view", "reshape", "unsqueeze", "squeeze", "contiguous", "to", "float"})
_TOLD = (cst.Assert, cst.FormattedStringExpression)
_SUM = (
    "square root of a sum of squares: where the sum is 0 its gradient is inf * 0 = NaN; use "
    "`torch.linalg.vector_norm`, whose gradient is 0 there, or add an epsilon inside the root"
)
_DIFFERENCE = (
    "square root of 1 - x**2: where x is 1 or -1 its gradient is infinite, and one step of the optimizer makes the "
    "parameters so; keep the difference above a small positive number inside the root"
)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every square root."""
    places = Differentiated(ctx.tree, ctx.names, ctx.classes, ctx.calls, ctx.mode, ctx.graphs)
    for root in (*ctx.tree.nodes(cst.Call), *ctx.tree.nodes(cst.BinaryOperation)):
        found = power(root, ctx.names)
        if found is None or found[1] != 0.5:
            continue
        value = _followed(found[0], ctx)
        inner = clamped_at_zero(value, ctx.names) or value
        sums = _is_sum_of_squares(inner, ctx)
        if not (sums or _is_one_minus_square(inner, ctx)) or is_guarded(inner, ctx.names) or not places.holds(root):
            continue
        if _is_told(root, ctx) or (sums and _is_positive(inner, ctx)):
            continue
        ctx.report(
            root,
            _SUM if sums else _DIFFERENCE,
            fix=_fix(root, found[0], inner, ctx),
            related=[] if value is found[0] else [(value, "what is under the root")],
        )


def _is_told(value: cst.CSTNode, ctx: Context, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a value is only asserted, printed, logged, or made a number with `detach()`, `item()` or `float()`.

    `seen` are the variables that were asked on the way here: they add nothing.
    """
    above = ctx.tree.parent(value)
    if isinstance(above, cst.Attribute):
        return above.attr.value in ("detach", "item", "data")
    if isinstance(above, (cst.BinaryOperation, cst.UnaryOperation)):
        return _is_told(above, ctx, seen)
    if isinstance(ctx.tree.enclosing(value, cst.Assert, cst.FormattedStringExpression, cst.FunctionDef), _TOLD):
        return True
    call = ctx.tree.parent(above) if isinstance(above, cst.Arg) else None
    if isinstance(call, cst.Call):
        name = ctx.names.full_name(call.func) or ""
        if name.startswith("torch."):
            return _is_told(call, ctx, seen)
        method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
        return name in SHOWN_BY or method in SHOWING
    target = above.targets[0].target if isinstance(above, cst.Assign) and len(above.targets) == 1 else None
    function = ctx.tree.enclosing(value, cst.FunctionDef)
    if not isinstance(target, cst.Name) or function is None:
        return False
    if target.value in seen:
        return True
    uses = [name for name in ctx.tree.below(function, cst.Name) if _is_read(name, target, ctx)]
    return bool(uses) and all(_is_told(use, ctx, seen | {target.value}) for use in uses)


def _is_read(name: cst.Name, variable: cst.Name, ctx: Context) -> bool:
    """Whether a name reads a variable: it is no target, and no attribute or keyword called so."""
    above = ctx.tree.parent(name)
    is_other = (isinstance(above, cst.Attribute) and above.attr is name) or getattr(above, "keyword", None) is name
    if name.value != variable.value or is_other or isinstance(above, cst.AssignTarget):
        return False
    return ctx.names.reference(name).scope is ctx.names.reference(variable).scope


def _is_positive(inner: cst.BaseExpression, ctx: Context) -> bool:
    """Whether the squares are of what is zero in no training, or needs no gradient, and no loss is computed.

    Widths, deviations and exponentials, sums with fresh noise, the weights of a layer, `x.real` and `x.imag` of what a
    network is given, and what a network of several layers is given: the data, not yet trained on.
    """
    bases = _bases(inner, ctx)
    if not bases or any(is_loss(name) for name in names_around(inner, ctx.tree)):
        return False
    above = AboveZero(ctx.tree, ctx.names, ctx.classes)
    return (
        all(_WIDTH.fullmatch(_named(base)) or above.holds(base) for base in bases)
        or any(map(above.is_noisy, bases))
        or all(ctx.names.self_attribute(base) is not None and ctx.graphs.carries(base) for base in bases)
        or all(_is_data(base, ctx) for base in bases)
    )


def _bases(value: cst.BaseExpression, ctx: Context) -> list[cst.BaseExpression]:
    """`x` and `y` of `x ** 2 + y ** 2`, `x` of `(x ** 2).sum()`."""
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
        return [*_bases(value.left, ctx), *_bases(value.right, ctx)]
    summed = _summed(value, ctx) if isinstance(value, cst.Call) else None
    found = power(_followed(summed, ctx) if summed is not None else value, ctx.names)
    return [found[0]] if found is not None else []


def _named(base: cst.BaseExpression) -> str:
    while isinstance(base, cst.Subscript):
        base = base.value
    return base.attr.value if isinstance(base, cst.Attribute) else getattr(base, "value", "")


def _is_data(base: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a value is what a network is given, and no other module of the file gives it what layers have made."""
    if _is_part(base, ctx):
        return False
    if isinstance(base, cst.Attribute) and base.attr.value in ("real", "imag"):
        return isinstance(base.value, cst.Name) and _is_given(base.value, ctx)
    return isinstance(base, cst.Name) and _is_given(base, ctx) and _calls_layers(base, ctx)


def _is_part(base: cst.CSTNode, ctx: Context) -> bool:
    """Whether the class around is made by another module of the file, or within a container of torch."""
    owner = ctx.classes.enclosing(base)
    for call in ctx.tree.nodes(cst.Call) if owner is not None else ():
        if ctx.classes.named(ctx.classes.constructed(call)) is owner:
            around = ctx.classes.enclosing(call)
            above = (each for each in ctx.tree.ancestors(call) if isinstance(each, cst.Call))
            held = any((ctx.names.full_name(each.func) or "").startswith("torch.nn.") for each in above)
            if held or (around is not None and around is not owner and around.is_module is not False):
                return True
    return False


def _calls_layers(base: cst.CSTNode, ctx: Context) -> bool:
    """Whether the class around calls what it keeps as layers: it is more than a norm."""
    owner = ctx.classes.enclosing(base)
    calls = ctx.tree.below(owner.node, cst.Call) if owner is not None else ()
    called = {ctx.names.self_attribute(call.func) for call in calls}
    places = [place for name in called for place in (owner.attributes.get(name or "", []) if owner is not None else ())]
    return any(place.kind in (AttributeKind.LAYER, AttributeKind.OPAQUE) for place in places)


def _is_given(name: cst.Name, ctx: Context, seen: frozenset[cst.CSTNode] = frozenset()) -> bool:
    """Whether a variable is an argument of the function as it is, but for its shape; `seen` are asked on the way."""
    value = reaching_value(name, ctx.tree, ctx.names)
    if value is None:
        given = [each.node for each in ctx.names.reference(name).bindings if each.kind is BindingKind.PARAMETER]
        return bool(given) and not any(_is_handed_on(node, ctx, seen) for node in given)
    method = value.func if isinstance(value, cst.Call) else None
    shaped = isinstance(method, cst.Attribute) and method.attr.value in _SHAPING and isinstance(method.value, cst.Name)
    return shaped and _is_given(method.value, ctx, seen)  # type: ignore[union-attr]


def _is_handed_on(parameter: cst.CSTNode, ctx: Context, seen: frozenset[cst.CSTNode]) -> bool:
    """Whether the function of a parameter is a helper that other code of the class gives something computed."""
    function = ctx.tree.enclosing(parameter, cst.FunctionDef)
    if function is None or not isinstance(parameter, cst.Param) or parameter in seen:
        return False
    sites = [call for call in ctx.calls.sites(function) if ctx.tree.enclosing(call, cst.FunctionDef) is not function]
    handed = (ctx.calls.arguments(call, function).get(parameter.name.value) for call in sites)
    return any(not isinstance(value, cst.Name) or not _is_given(value, ctx, seen | {parameter}) for value in handed)


def _followed(value: cst.BaseExpression, ctx: Context) -> cst.BaseExpression:
    """What a local variable is that is bound once."""
    if not isinstance(value, cst.Name):
        return value
    binding = ctx.names.reference(value).binding
    local = binding is not None and binding.kind is BindingKind.ASSIGNMENT and binding.scope is ctx.scopes.of(value)
    return binding.value if local and binding is not None and binding.value is not None else value


def _is_sum_of_squares(value: cst.BaseExpression, ctx: Context) -> bool:
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
        sides = (value.left, value.right)
        if any(map(Untrained(ctx.tree, ctx.names, ctx.classes).is_number, sides)):
            return False  # `x ** 2 + c ** 2`
        return all(_is_square(side, ctx) or _is_sum_of_squares(side, ctx) for side in sides)
    if not isinstance(value, cst.Call):
        return False
    if ctx.names.full_name(value.func) in _ERRORS or _is_mse_layer(value, ctx):
        return True
    summed = _summed(value, ctx)
    return summed is not None and _is_square(_followed(summed, ctx), ctx)


def _summed(call: cst.Call, ctx: Context) -> cst.BaseExpression | None:
    """`x` of `torch.sum(x, 1)`, `x.sum(1)`, `x.mean()`."""
    if ctx.names.full_name(call.func) in _SUMS:
        return argument(call, 0, "input")
    is_method = isinstance(call.func, cst.Attribute) and call.func.attr.value in ("sum", "mean")
    return call.func.value if is_method and isinstance(call.func, cst.Attribute) else None


def _is_square(value: cst.BaseExpression, ctx: Context) -> bool:
    found = power(value, ctx.names)
    return found is not None and found[1] == 2


def _is_one_minus_square(value: cst.BaseExpression, ctx: Context) -> bool:
    """`1 - cosine ** 2`: the sine of an angle."""
    is_difference = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Subtract)
    if not is_difference or not isinstance(value, cst.BinaryOperation) or number(value.left, ctx.names) != 1:
        return False
    found = power(value.right, ctx.names)
    if found is None or found[1] != 2 or number(found[0], ctx.names) is not None:
        return False
    before = reaching_value(found[0], ctx.tree, ctx.names) if isinstance(found[0], cst.Name) else None
    return before is None or not is_guarded(before, ctx.names)


def _is_mse_layer(call: cst.Call, ctx: Context) -> bool:
    function = call.func
    if isinstance(function, cst.Name):
        binding = ctx.names.reference(function).binding
        return binding is not None and ctx.classes.constructed(binding.value) == "torch.nn.MSELoss"
    name = ctx.names.self_attribute(function)
    owner = ctx.classes.enclosing(call)
    place = owner.attribute(name) if name is not None and owner is not None else None
    made = place.type if place is not None else ctx.classes.constructed(function)
    return made == "torch.nn.MSELoss"


def _fix(root: cst.CSTNode, given: cst.BaseExpression, inner: cst.BaseExpression, ctx: Context) -> Fix | None:
    norm = _norm(root, inner, ctx) if inner is given else None
    return ctx.fix(Safety.UNSAFE, norm if norm is not None else _with_epsilon(given, ctx))


def _norm(root: cst.CSTNode, inner: cst.BaseExpression, ctx: Context) -> Edit | None:
    """`torch.linalg.vector_norm(x, dim=1)` for the root of `(x ** 2).sum(1)`."""
    summed = _summed(inner, ctx) if isinstance(inner, cst.Call) else None
    found = power(summed, ctx.names) if summed is not None else None
    spelled = ctx.names.spelling("torch.linalg.vector_norm", root)
    if found is None or spelled is None or not isinstance(inner, cst.Call) or _last(inner) != "sum":
        return None
    function = ctx.names.full_name(inner.func) in _SUMS
    rest = inner.args[1:] if function else inner.args
    names = ("dim", "keepdim")
    if len(rest) > len(names) or any(given.star for given in rest):
        return None
    texts = [
        f"{given.keyword.value if given.keyword is not None else names[index]}={ctx.code(given.value)}"
        for index, given in enumerate(rest)
    ]
    if any(text.partition("=")[0] not in ("dim", "keepdim") for text in texts):
        return None
    bare = found[0] if isinstance(found[0], (cst.Tuple, cst.GeneratorExp)) else found[0].with_changes(lpar=(), rpar=())
    return ctx.replace(root, f"{spelled}({', '.join([ctx.code(bare), *texts])})")


def _last(call: cst.Call) -> str:
    function = call.func
    return function.attr.value if isinstance(function, cst.Attribute) else getattr(function, "value", "")


def _with_epsilon(given: cst.BaseExpression, ctx: Context) -> Edit | None:
    """The epsilon inside the root: after an argument, or in parentheses where a method or power follows."""
    above = ctx.tree.parent(given)
    if isinstance(above, cst.Arg):
        return ctx.insert_after(given, " + 1e-12")
    text = ctx.code(given.with_changes(lpar=(), rpar=()))
    return ctx.replace(given, f"{text} + 1e-12" if given.lpar else f"({text} + 1e-12)")
