"""A deep stack whose weights start so small that the signal vanishes.

## What it does
Where `normal_`, `trunc_normal_` or `uniform_` with literal numbers fill four or more hidden layers of one stack, with
no normalisation layer and no skip connection between them, multiplies what each layer leaves of the signal and
reports the stack when it is less than a thousandth. Layers whose size is not literal do not count, and neither does
the last one: a small head is good practice.

## Why is this bad
A linear layer scales the signal by std * sqrt(fan_in), a ReLU takes another sqrt(2). With std 0.01 and 256 inputs that
is 0.11 a layer: in torch 2.13 the activations' standard deviation is 2e-10 after 10 layers. The gradient is scaled the
same way on its way back.

## Example
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(256, 256), nn.ReLU()) for _ in range(10)], nn.Linear(256, 1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=0.01)
```

## Use instead
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(256, 256), nn.ReLU()) for _ in range(10)], nn.Linear(256, 1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight, nonlinearity='relu')
```

## Fix safety
Unsafe: the network starts from other weights.

## References
- https://arxiv.org/abs/1502.01852
- https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html
"""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import number
from gradlint.model import Edit, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.stacks import RELU_LIKE, Hidden, fan_in, hidden_layers, plain_runs

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitCall

_LAYERS = 4
_LEFT = 1e-3
_KAIMING = {"normal": "kaiming_normal_", "trunc_normal": "kaiming_normal_", "uniform": "kaiming_uniform_"}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stack; the weakest one that the same calls fill is reported, at the first of them."""
    weights = [call for call in ctx.reach.calls if call.attribute == "weight"]
    if all(deviation(call, ctx) is None for call in weights):
        return  # most files: their chains need not be followed
    found: list[tuple[float, list[Hidden]]] = []
    layers = [hidden_layers(run) for chain in ctx.chains.all for run in plain_runs(chain)]
    deep = [hidden for hidden in layers if len(hidden) >= _LAYERS]
    filling = _filling(weights, ctx) if deep else {}
    for several in deep if filling else ():
        stack = [hidden for hidden in several if _factor(hidden, filling, ctx) is not None]
        left = prod(_factor(hidden, filling, ctx) or 1.0 for hidden in stack)
        if len(stack) >= _LAYERS and left < _LEFT:
            found.append((left, stack))
    seen: set[InitCall] = set()
    for left, stack in sorted(found, key=lambda one: one[0]):
        calls = list(dict.fromkeys(filling[hidden.weight.node][0] for hidden in stack))
        if seen.isdisjoint(calls):
            seen.update(calls)
            _report(calls, filling[stack[0].weight.node][1], len(stack), left, ctx)


def _filling(calls: list[InitCall], ctx: Context) -> dict[cst.CSTNode, tuple[InitCall, float]]:
    """The layers whose last known filling has a literal standard deviation, with the call and that number."""
    last: dict[cst.CSTNode, InitCall] = {}
    for call in calls:
        last.update(dict.fromkeys((link.node for link in ctx.reach.layers(call)), call))
    spread = {call: deviation(call, ctx) for call in last.values()}
    return {node: (call, std) for node, call in last.items() if (std := spread[call]) is not None}


def deviation(call: InitCall, ctx: Context) -> float | None:
    """The standard deviation that a call gives, where it is literal and the mean is zero."""
    scheme = call.scheme.rstrip("_")
    if scheme == "uniform":
        low, high = number(call.argument(1, "a"), ctx.names), number(call.argument(2, "b"), ctx.names)
        return high / sqrt(3) if low is not None and high is not None and low == -high else None
    if scheme not in ("normal", "trunc_normal"):
        return None
    mean, std = call.argument(1, "mean"), call.argument(2, "std")
    return number(std, ctx.names) if mean is None or number(mean, ctx.names) == 0 else None


def _factor(hidden: Hidden, filling: dict[cst.CSTNode, tuple[InitCall, float]], ctx: Context) -> float | None:
    """What one layer leaves of the signal."""
    width = fan_in(hidden.weight, ctx.names)
    if hidden.weight.node not in filling or width is None:
        return None
    halves = sqrt(2) if hidden.word in RELU_LIKE else 1.0
    return filling[hidden.weight.node][1] * sqrt(width) / halves


def _report(calls: list[InitCall], std: float, count: int, left: float, ctx: Context) -> None:
    places = sorted(calls, key=lambda call: ctx.range(call.place).start)
    ctx.report(
        places[0].place,
        f"a standard deviation of {std:.2g}{places[0].origin} in {count} layers without normalisation or skip"
        f" connection: each scales the signal by std * sqrt(fan_in) and its activation, together by {left:.1e}, and the"
        f" gradient likewise; use `{_KAIMING[places[0].scheme.rstrip('_')]}`",
        fix=ctx.fix(Safety.UNSAFE, *(_scaled(call, ctx) for call in places)),
        related=[(call.place, "another of these layers is filled here") for call in places[1:]],
    )


def _scaled(call: InitCall, ctx: Context) -> Edit | None:
    function = call.node.func
    if call.given or call.is_method or not isinstance(function, cst.Attribute) or call.tensor is None:
        return None  # a bare imported name would need an import as well
    scheme = _KAIMING[call.scheme.rstrip("_")]
    return ctx.replace(call.node, f"{ctx.code(function.value)}.{scheme}({ctx.code(call.tensor)}, nonlinearity='relu')")
