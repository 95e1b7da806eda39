"""A deep stack of sigmoid or tanh layers without normalisation or skip connection.

## What it does
Follows the layers of each `Sequential` and of each class through `forward` (also through loops and comprehensions
with literal bounds) and reports four or more sigmoids, or eight or more tanhs, with no normalisation layer and no
skip connection between them. Tanh is reported only where nothing in the file initialises
weights. LeNet-like networks, which use sigmoids for the sake of history, are reported as info.

## Why is this bad
The derivative of the sigmoid is at most 0.25, so k of them scale the gradient of the first layer by at most
0.25**k, times the weights: 4e-3 for 4, 2e-5 for 8, 2e-10 for 16. In torch 2.13, the gradient of the first layer
over that of the last is 6e-4 for 4 layers, 2e-7 for 8 and 3e-14 for 16 (width 64, default initialisation).
Tanh is different: its derivative reaches 1, so there is no such bound. But the default initialisation of
`nn.Linear` has gain 1/sqrt(3), and k layers of it scale the gradient by about 0.58**k: 1e-2 for 8.

## Example
```python
layers = []
for _ in range(16):
    layers += [nn.Linear(64, 64), nn.Sigmoid()]
net = nn.Sequential(*layers)
```

## Use instead
```python
layers = []
for _ in range(16):
    layers += [nn.Linear(64, 64), nn.ReLU()]
net = nn.Sequential(*layers)
```

## Fix safety
Unsafe: sigmoids become ReLUs, which is another network. A sigmoid that is the output of the chain stays.

## References
- https://proceedings.mlr.press/v9/glorot10a.html
- https://d2l.ai/chapter_multilayer-perceptrons/numerical-stability-and-init.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Level, Safety
from gradlint.rule import Context, checks
from gradlint.rules.saturating import is_initialised, relu_instead
from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from gradlint.semantics.layer_chain import Chain

_SIGMOIDS = 4
_TANHS = 8
_DEFAULT_GAIN = 3**-0.5


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stretch of every chain; one that is part of another reported stretch is not reported again."""
    seen: set[cst.CSTNode] = set()
    for saturating, chain in sorted(_stretches(ctx), key=lambda found: -len(found[0])):
        nodes = {link.node for link in saturating}
        if not nodes <= seen:
            seen |= nodes
            _report(saturating, chain, ctx)


def _stretches(ctx: Context) -> list[tuple[list[Link], Chain]]:
    found: list[tuple[list[Link], Chain]] = []
    for chain in ctx.chains.all:
        for run in chain.runs():
            if not any(link.has_weight for link in run):
                continue
            sigmoids = [link for link in run if link.activation == "sigmoid"]
            tanhs = [link for link in run if link.activation == "tanh"]
            if len(sigmoids) >= _SIGMOIDS:
                found.append((sigmoids, chain))
            elif len(tanhs) >= _TANHS and not is_initialised(chain, ctx):
                found.append((tanhs, chain))
    return found


def _report(saturating: list[Link], chain: Chain, ctx: Context) -> None:
    first = saturating[0]
    others = dict.fromkeys(link.node for link in saturating if link.node is not first.node)
    ctx.report(
        first.node,
        message(first.activation or "", len(saturating)),
        level=Level.INFO if _is_lenet(chain, ctx) else None,
        fix=_fix(saturating, chain, ctx),
        related=[(node, f"another {first.activation} of the stack") for node in others],
    )


def message(activation: str, count: int) -> str:
    """What is wrong, with the number that makes it true."""
    between = "no normalisation or skip connection between"
    if activation == "sigmoid":
        bound = f"gradient at most 0.25**{count} = {0.25**count:.1e} (times the weights)"
        return f"{count} sigmoid layers: {bound}, {between}; use ReLU or GELU, and normalise"
    shrunk = f"the default initialisation (gain 0.58) leaves about 0.58**{count} = {_DEFAULT_GAIN**count:.1e}"
    advice = "use Xavier initialisation with gain 5/3, ReLU or GELU, or normalise"
    return (
        f"{count} tanh layers: the derivative's bound is 1, not 0.25, but {shrunk} of the gradient, {between}; {advice}"
    )


def _is_lenet(chain: Chain, ctx: Context) -> bool:
    owner = chain.owner or ctx.classes.enclosing(chain.node)
    named = owner is not None and "lenet" in owner.node.name.value.lower()
    convolutions = [link.out_features for link in chain.links if link.kind is LinkKind.CONV]
    return named or convolutions == [6, 16]


def _fix(saturating: list[Link], chain: Chain, ctx: Context) -> Fix | None:
    last = chain.links[-1]
    hidden = dict.fromkeys(link.node for link in saturating if link is not last)
    return ctx.fix(Safety.UNSAFE, *(relu_instead(node, ctx) for node in hidden))
