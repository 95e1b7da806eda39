"""Xavier initialisation with gain 1 in a deep stack of ReLU layers.

## What it does
Finds which layers `xavier_uniform_` and `xavier_normal_` fill (through `apply`, loops over modules, or by name, also by
an init function imported from another file of the project) and reports five or more of them that are followed by a
ReLU, with no normalisation layer and no skip connection between them. A gain that is passed, and layers that sigmoid or
tanh follow, are left alone.

## Why is this bad
Xavier's variance, 2 / (fan_in + fan_out), keeps the signal of a symmetric activation. ReLU throws away half of it, so
each layer halves the variance: k layers leave 2**(-k/2) of the standard deviation. In torch 2.13 (width 256) the
activations' standard deviation is 2e-2 after 10 layers and 1e-5 after 30; with He initialisation it is about 0.6
after both. The gradients shrink the same way.

## Example
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(10)], nn.Linear(64, 1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
```

## Use instead
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(10)], nn.Linear(64, 1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
```

## Fix safety
Unsafe: the network starts from other weights. `gain=nn.init.calculate_gain("relu")` is the same where the layers are
square.

## References
- https://arxiv.org/abs/1502.01852
- https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import number
from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.stacks import RELU_LIKE, Hidden, hidden_layers, plain_runs

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_LAYERS = 5
_XAVIER = {"xavier_uniform": "kaiming_uniform_", "xavier_normal": "kaiming_normal_"}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stack; the deepest one that the same calls fill is reported, at the first of them."""
    weights = [call for call in ctx.reach.calls if call.attribute == "weight"]
    if not any(_is_gain_one(call, ctx) for call in weights):
        return  # most files: their chains need not be followed
    layers = [hidden_layers(run) for chain in ctx.chains.all for run in plain_runs(chain)]
    deep = any(len(_relus(stack)) >= _LAYERS for stack in layers)
    filling = _filling(weights, ctx) if deep else {}
    stacks = [[hidden for hidden in stack if hidden.weight.node in filling] for stack in layers]
    seen: set[InitCall] = set()
    for stack in sorted(stacks, key=len, reverse=True):
        relus = _relus(stack)
        calls = list(dict.fromkeys(filling[hidden.weight.node] for hidden in relus))
        if len(relus) < _LAYERS or len(relus) < len(stack) or not seen.isdisjoint(calls):
            continue
        seen.update(calls)
        _report(calls, relus, ctx)


def _relus(stack: list[Hidden]) -> list[Hidden]:
    return [hidden for hidden in stack if hidden.word in RELU_LIKE]


def _filling(calls: list[InitCall], ctx: Context) -> dict[cst.CSTNode, InitCall]:
    """The layers whose last known filling is Xavier with gain 1, and the call that does it."""
    last: dict[cst.CSTNode, InitCall] = {}
    for call in calls:
        last.update(dict.fromkeys((link.node for link in ctx.reach.layers(call)), call))
    return {node: call for node, call in last.items() if _is_gain_one(call, ctx)}


def _is_gain_one(call: InitCall, ctx: Context) -> bool:
    gain = call.argument(1, "gain")
    return call.scheme.rstrip("_") in _XAVIER and (gain is None or number(gain, ctx.names) == 1)


def _report(calls: list[InitCall], relus: list[Hidden], ctx: Context) -> None:
    places = sorted(calls, key=lambda call: ctx.range(call.place).start)
    nodes = dict.fromkeys(hidden.activation.node for hidden in relus)
    ctx.report(
        places[0].place,
        message(places[0].scheme, len(relus), places[0].origin),
        fix=ctx.fix(Safety.UNSAFE, *(edit for call in places for edit in _edits(call, ctx))),
        related=[
            *((call.place, "another of these layers is filled here") for call in places[1:]),
            *((node, "a ReLU of the stack") for node in nodes),
        ],
    )


def message(scheme: str, count: int, origin: str = "") -> str:
    """What is wrong, with the number that makes it true."""
    left = 2 ** (-count / 2)
    return (
        f"`{scheme}` (gain 1){origin} fills {count} ReLU layers: each halves the variance, so about 2**(-{count}/2) ="
        f" {left:.1e} of the signal and of the gradient is left, with no normalisation or skip connection between;"
        f" use `{_XAVIER[scheme.rstrip('_')]}` with nonlinearity='relu'"
    )


def _edits(call: InitCall, ctx: Context) -> tuple[Edit | None, ...]:
    function = call.node.func
    if call.given or not isinstance(function, cst.Attribute) or call.argument(1, "gain") is not None:
        return (None,)  # a bare imported name would need an import as well
    renamed = ctx.replace(function.attr, _XAVIER[call.scheme.rstrip("_")])
    return renamed, ctx.add_keyword(call.node, "nonlinearity='relu'")
