"""All weights of a layer are initialised to one constant.

## What it does
Reports a weight of a linear or convolutional layer filled with one number: with `constant_`, `ones_`, `fill_`, and
with `zeros_` where the layer is known to be a hidden one of a stack without skip connection. Zeros elsewhere are often
meant (the last layer, the end of a residual branch, LoRA), and so are weights of normalisation layers. Silent where
the weight is changed below (`weight[i, i] = 1`, `weight.add_(noise)`; one number for all changes nothing), and in
tests, which want known numbers.

## Why is this bad
Units with equal weights compute the same number and get the same gradient: they stay equal, however long the network
is trained. In torch 2.13, 16 hidden units filled with one constant still have 1 distinct row of weights after 200
steps of SGD. Zeros in a hidden layer also let no gradient through to the layers before.

## Example
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.constant_(m.weight, 1.0)
```

## Use instead
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity='relu')
```

## Fix safety
Unsafe: the network starts from other weights, and which scheme fits depends on the activation.

## References
- https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html
- https://www.deeplearningbook.org/contents/optimization.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import integer, number
from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.code_of_tests import holds_tests
from gradlint.semantics.layer_values import argument
from gradlint.semantics.layers import Link, layer_kind
from gradlint.semantics.stacks import hidden_layers, plain_runs
from gradlint.semantics.tensor_changes import is_changed_below

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_VALUES = {"ones": 1.0, "zeros": 0.0, "zero": 0.0}
_GIVEN = {"constant": "val", "fill": "value"}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every init call that fills a weight with one number."""
    if holds_tests(ctx.tree):
        return
    of_weights = [(call, _constant(call, ctx)) for call in ctx.reach.calls if call.attribute == "weight"]
    filled = [(call, value) for call, value in of_weights if value is not None and not _is_frozen(call, ctx)]
    hidden, last = _places(ctx) if filled else (set(), set())
    for call, value in filled:
        layers = [link for link in ctx.reach.layers(call) if _is_several(link, ctx) and not _is_shared(link, ctx)]
        reached = bool(ctx.reach.layers(call))
        wanted = [link for link in layers if (link.node in hidden if value == 0 else link.node not in last)]
        if not wanted and (reached or value == 0 or not _is_weight_layer(call)):
            continue
        if call.given and (not wanted or (value != 0 and _is_weight_layer(call))):
            continue  # told in its own file
        if not (_is_refilled(call, wanted, ctx) or _is_overwritten(call, ctx) or _are_all_single(call, ctx)):
            _report(call, value, wanted, ctx)


def _places(ctx: Context) -> tuple[set[cst.CSTNode], set[cst.CSTNode]]:
    """The layers that are hidden ones of a stack; and those that end a chain, where equal rows get other gradients."""
    runs = [run for chain in ctx.chains.all for run in plain_runs(chain)]
    hidden = {found.weight.node for run in runs for found in hidden_layers(run)}
    weights = [[link.node for link in chain.links if link.has_weight] for chain in ctx.chains.all]
    return hidden, {nodes[-1] for nodes in weights if nodes} - hidden


def _constant(call: InitCall, ctx: Context) -> float | None:
    scheme = call.scheme.rstrip("_")
    if scheme in _GIVEN:
        return number(call.argument(1, _GIVEN[scheme]), ctx.names)
    if scheme == "normal" and number(call.argument(2, "std"), ctx.names) == 0:
        mean = call.argument(1, "mean")
        return 0.0 if mean is None else number(mean, ctx.names)
    return _VALUES.get(scheme)


def _is_several(link: Link, ctx: Context) -> bool:
    """Whether a layer has more than one unit, and all units see the same inputs (not so in a depthwise one)."""
    assert isinstance(link.node, cst.Call)
    groups = argument(link.node, 6, "groups")
    together = groups is None or integer(groups, ctx.names) == 1
    return link.out_features != 1 and together


def _is_shared(link: Link, ctx: Context) -> bool:
    """Whether a function of the file makes the layer for several callers: which of them is filled is not known."""
    function = ctx.tree.enclosing(link.node, cst.FunctionDef)
    plain = isinstance(function, cst.FunctionDef) and ctx.classes.enclosing(function) is None
    return plain and isinstance(function, cst.FunctionDef) and len(ctx.calls.sites(function)) > 1


def _is_weight_layer(call: InitCall) -> bool:
    """Whether the tests around a call leave only linear and convolutional layers."""
    kinds = [layer_kind(name) for name in call.types if name is not None]
    known = bool(kinds) and len(kinds) == len(call.types)
    return known and all(kind is not None and kind[0].value in ("linear", "conv") for kind in kinds)


def _is_frozen(call: InitCall, ctx: Context) -> bool:
    """Whether the code around stops the gradient: an averaging filter or the like, not to be trained."""
    around = call.function or ctx.tree.module
    if any(node.value == "requires_grad_" for node in ctx.tree.below(around, cst.Name)):
        return True
    targets = [target.target for target in ctx.tree.below(around, cst.AssignTarget)]
    return any(isinstance(target, cst.Attribute) and target.attr.value == "requires_grad" for target in targets)


def _is_refilled(call: InitCall, wanted: list[Link], ctx: Context) -> bool:
    """Whether a later call fills all of these layers with something else."""
    later = [other for other in ctx.reach.calls if other is not call and other.attribute == "weight"]
    random = [other for other in later if _constant(other, ctx) is None]
    again = {link.node for other in random for link in ctx.reach.layers(other)}
    return bool(wanted) and all(link.node in again for link in wanted)


def _is_overwritten(call: InitCall, ctx: Context) -> bool:
    """Whether the same tensor is changed below, or gets something else in the same block: GRD107 tells of that."""
    if call.given is None and call.tensor is not None and is_changed_below(call.tensor, call.node, ctx.tree, ctx.names):
        return True
    block = ctx.tree.parent(ctx.tree.statement(call.node))
    return call.tensor is not None and any(
        other.tensor is not None
        and ctx.tree.place(other.node) > ctx.tree.place(call.node)
        and ctx.tree.parent(ctx.tree.statement(other.node)) is block
        and ctx.code(other.tensor) == ctx.code(call.tensor)
        and _constant(other, ctx) is None
        for other in ctx.inits.calls
    )


def _are_all_single(call: InitCall, ctx: Context) -> bool:
    """Whether all layers of the tested types that the file makes have one unit: there are no equal ones."""
    made = [node for node in ctx.tree.nodes(cst.Call) if ctx.names.full_name(node.func) in call.types]
    names = ("out_channels", "out_features")
    widths = [next((found for name in names if (found := argument(node, 1, name)) is not None), None) for node in made]
    return bool(widths) and all(width is not None and integer(width, ctx.names) == 1 for width in widths)


def _report(call: InitCall, value: float, layers: list[Link], ctx: Context) -> None:
    widths = [link.out_features for link in layers if link.out_features is not None]
    units = f"all {max(widths)} units" if widths else "all units of a layer"
    stuck = "; being zero, they also pass no gradient on" if value == 0 else ""
    ctx.report(
        call.place,
        f"every weight is {value:g}{call.origin}: {units} compute the same, get the same gradient and stay 1 distinct"
        f" unit however long they are trained{stuck}; use a random scheme such as `kaiming_uniform_`",
        fix=ctx.fix(Safety.UNSAFE, _random(call, ctx)),
        related=[(link.node, "a layer filled with it") for link in layers],
    )


def _random(call: InitCall, ctx: Context) -> Edit | None:
    function = call.node.func
    if call.given or call.is_method or not isinstance(function, cst.Attribute) or call.tensor is None:
        return None
    arguments = f"({ctx.code(call.tensor)}, nonlinearity='relu')"
    return ctx.replace(call.node, f"{ctx.code(function.value)}.kaiming_uniform_{arguments}")
