"""Ten or more weight layers with neither normalisation nor skip connection between them.

## What it does
Follows the layers of each `Sequential` and of each class through `forward` and reports stretches of ten or more linear
or convolutional layers without a normalisation layer, a skip connection or anything unknown. Whether the file
initialises weights does not matter: GRD105 and GRD201 look at that.

## Why is this bad
Nothing keeps the size of the signal and of the gradient but the product of all layers. In torch 2.13 (width 64, ReLU,
default initialisation) the gradient of the first layer over that of the last is 1e-3 for 10 layers, 1e-7 for 20 and
1e-11 for 30; with a `LayerNorm` or a skip connection around each layer it is 0.1 to 0.4 for all of them. He
initialisation keeps the size, but the gradients of similar inputs still lose their likeness: a cosine of 0.81 after 2
layers is 0.23 after 30, with skip connections 0.89. VGG-16 and -19 are such networks, trained in steps at their time.

## Example
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(12)])
```

## Use instead
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()) for _ in range(12)])
```

## Fix safety
There is no fix: normalisation and skip connections make another network.

## References
- https://arxiv.org/abs/1512.03385
- https://arxiv.org/abs/1502.03167
- https://arxiv.org/abs/1702.08591
"""

from __future__ import annotations

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.semantics.layers import Link
from gradlint.semantics.stacks import plain_runs

_DEEP = 10
_LEFT = 6**-0.5  # gain 1/sqrt(3), halved in variance by the ReLU


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stack; one that is part of a longer one is looked at once."""
    stacks = [[link for link in run if link.has_weight] for chain in ctx.chains.all for run in plain_runs(chain)]
    seen: set[cst.CSTNode] = set()
    for stack in sorted(stacks, key=len, reverse=True):
        if len(stack) >= _DEEP and seen.isdisjoint(link.node for link in stack):
            seen.update(link.node for link in stack)
            _report(stack, ctx)


def _report(stack: list[Link], ctx: Context) -> None:
    first = stack[0].node
    others = dict.fromkeys(link.node for link in stack if link.node is not first)
    ctx.report(first, message(len(stack)), related=[(node, "another layer of the stack") for node in others])


def message(count: int) -> str:
    """What is wrong, with the number that makes it true."""
    hidden = count - 1
    return (
        f"{count} weight layers without normalisation or skip connection between: nothing but their product keeps the "
        f"size of the gradient (default initialisation and ReLU: about 0.41**{hidden} = {_LEFT**hidden:.0e} of it); "
        "add either"
    )
