"""Weights of a layer drawn from the unit normal distribution, `normal_`'s default.

## What it does
Reports `normal_` without a standard deviation (or with 1) for the weights of linear and convolutional layers with more
than one input. Embeddings, parameters of one's own, layers that a normalisation follows and networks that are never
trained, whose output leaves the graph where they are made and which nobody else is given, are left alone.

## Why is this bad
The output of a layer has sqrt(fan_in) times the standard deviation of its input: in torch 2.13, 16 for 256 inputs,
and 1e6 after five such layers. Sigmoid and tanh are saturated at once, ReLU networks overflow or diverge.

## Example
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight)
```

## Use instead
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=m.in_features ** -0.5)
```

## Fix safety
There is no fix: the right number depends on the inputs of the layer.

## References
- https://docs.pytorch.org/docs/stable/nn.init.html
- https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import number
from gradlint.rule import Context, checks
from gradlint.semantics.init_function import walked_over
from gradlint.semantics.layers import Link, LinkKind, layer_kind
from gradlint.semantics.stacks import fan_in

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_ASKING = frozenset({"apply", "children", "cpu", "cuda", "eval", "modules", "named_modules", "to"})
_NORMALISING = ("Norm", "_norm", "normalize")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every `normal_` for a weight."""
    for call in ctx.inits.calls:
        if call.scheme.rstrip("_") != "normal" or call.attribute != "weight" or not _is_unit(call, ctx):
            continue
        if _is_never_trained(call, ctx):
            continue
        reached = ctx.reach.layers(call)
        wide = [link for link in reached if (fan_in(link, ctx.names) or 0) > 1 and not _is_normalised(link, ctx)]
        # Where it cannot be known which layers are meant, a file that normalises anywhere is not judged.
        if wide or (not reached and _is_weight_layer(call) and not _normalises(ctx)):
            _report(call, wide, ctx)


def _is_unit(call: InitCall, ctx: Context) -> bool:
    mean, std = call.argument(1, "mean"), call.argument(2, "std")
    starred = any(given.star for given in call.node.args)
    return not starred and (std is None or number(std, ctx.names) == 1) and (mean is None or mean is not std)


def _is_never_trained(call: InitCall, ctx: Context) -> bool:
    """Whether the function takes all that the network gives out of the graph: features of random weights on purpose."""
    walked = walked_over(call.root, ctx.tree) if call.root is not None else None
    network = walked.func.value if isinstance(walked, cst.Call) and isinstance(walked.func, cst.Attribute) else None
    function = ctx.tree.enclosing(call.node, cst.FunctionDef)
    if not isinstance(network, cst.Name) or function is None:
        return False
    uses = [name for name in ctx.tree.below(function, cst.Name) if name.value == network.value]
    above = ((name, ctx.tree.parent(name)) for name in uses)
    calls = [each for name, each in above if isinstance(each, cst.Call) and each.func is name]
    freed = bool(calls) and all(ctx.graphs.is_free(ctx.tree.parent(each)) for each in calls)
    return freed and all(_stays(name, ctx) for name in uses)


def _stays(name: cst.Name, ctx: Context) -> bool:
    """Whether a use of a network keeps it in the function: it is made, called, or asked for its modules.

    Its class may keep it (`self.nets.append(net)`) where the file reads no parameters and calls no `backward()`.
    """
    above = ctx.tree.parent(name)
    call = ctx.tree.parent(above) if isinstance(above, cst.Arg) else None
    if isinstance(call, cst.Call):
        method = call.func if isinstance(call.func, cst.Attribute) and call.func.attr.value == "append" else None
        kept = method is not None and ctx.names.self_attribute(method.value) is not None
        return kept and not any(ctx.tree.named(word) for word in ("parameters", "backward"))
    if isinstance(above, cst.Attribute):
        return above.value is not name or above.attr.value in _ASKING
    return isinstance(above, cst.AssignTarget) or (isinstance(above, cst.Call) and above.func is name)


def _is_normalised(link: Link, ctx: Context) -> bool:
    """Whether a normalisation, or something unknown, comes between the layer and the next one on any chain."""
    for chain in ctx.chains.all:
        nodes = [one.node for one in chain.links]
        if link.node in nodes:
            for after in chain.links[nodes.index(link.node) + 1 :]:
                if after.kind in (LinkKind.NORM, LinkKind.OPAQUE):
                    return True
                if after.has_weight:
                    break
    return False


def _is_weight_layer(call: InitCall) -> bool:
    kinds = [layer_kind(name) for name in call.types if name is not None]
    known = bool(kinds) and len(kinds) == len(call.types)
    return known and all(kind is not None and kind[0] in (LinkKind.LINEAR, LinkKind.CONV) for kind in kinds)


def _normalises(ctx: Context) -> bool:
    return any(word in ctx.source.text for word in _NORMALISING)


def _report(call: InitCall, wide: list[Link], ctx: Context) -> None:
    widest = max((fan_in(link, ctx.names) or 0 for link in wide), default=0)
    grown = f" = {widest**0.5:.3g} for {widest} inputs" if widest else ""
    ctx.report(
        call.node,
        f"`normal_` with standard deviation 1: each layer scales the signal by sqrt(fan_in){grown}; give"
        " std=fan_in**-0.5, or use a Xavier or He scheme",
        related=[(link.node, "a layer filled with it") for link in wide],
    )
