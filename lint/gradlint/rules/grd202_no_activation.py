"""Two linear layers with no activation between them.

## What it does
Reports `nn.Linear` directly after `nn.Linear` (dropout does not count) where the second gets the first's result and
nothing else does: neighbours in one `Sequential`, or `x = self.fc1(x)` followed by `x = self.fc2(x)`. Silent where the
width between is smaller than both sides or cannot be compared, which is a factored layer with fewer weights (LoRA,
bottlenecks), where the first has no bias, where a skip connection leads around, where the value between is used or
returned elsewhere (projections, embeddings), and in test files, whose networks are toys.

Precision: 4 findings in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0, pytorch-lightning 2.6.6 and
d2l 1.0.3, all of them right; without these gates it was at most 3 of 11.

## Why is this bad
A linear layer of a linear layer is a linear layer: `fc2(fc1(x))` is one layer with the weight `W2 @ W1`, at the cost of
two and with the depth of one. However many there are, their squared error on XOR stays at 0.25 or above, which the
constant 0.5 reaches; two layers with one ReLU between reach 0.

## Example
```python
net = nn.Sequential(nn.Linear(784, 256), nn.Dropout(0.5), nn.Linear(256, 10))
```

## Use instead
```python
net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10))
```

## Fix safety
There is no fix: which activation was meant, or whether one layer was, is a choice.

## References
- https://d2l.ai/chapter_multilayer-perceptrons/mlp.html
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.semantics.code_of_tests import holds_tests
from gradlint.semantics.layer_values import argument
from gradlint.semantics.layers import Link, LinkKind
from gradlint.semantics.passed_on import PassedOn

if TYPE_CHECKING:
    from gradlint.semantics.layer_chain import Chain


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every pair of neighbours of every chain once."""
    if holds_tests(ctx.tree):
        return
    passed = PassedOn(ctx.tree, ctx.names)
    seen: set[cst.CSTNode] = set()
    for chain in ctx.chains.all:
        for first, second in pairwise(_without_dropout(chain)):
            if second.node not in seen and _is_one_layer(first, second, ctx) and passed.directly(first, second):
                seen.add(second.node)
                _report(first, second, ctx)


def _without_dropout(chain: Chain) -> list[Link]:
    return [link for link in chain.links if link.kind is not LinkKind.DROPOUT and link.name != "torch.nn.Identity"]


def _is_one_layer(first: Link, second: Link, ctx: Context) -> bool:
    if {first.name, second.name} != {"torch.nn.Linear"} or first.bypassed or second.bypassed:
        return False
    return first.node is not second.node and first.bias is True and not _narrows(first, second, ctx)


def _narrows(first: Link, second: Link, ctx: Context) -> bool:
    """Whether the width between may be smaller than both sides: one layer could not do the same then."""
    sides = (first.in_features, first.out_features, second.out_features)
    before, between, after = sides
    if between is not None and any(side is not None and between >= side for side in (before, after)):
        return False
    if None not in sides:
        return True
    assert isinstance(first.node, cst.Call)
    assert isinstance(second.node, cst.Call)
    told = (
        argument(first.node, 0, "in_features"),
        argument(first.node, 1, "out_features"),
        argument(second.node, 1, "out_features"),
    )
    written = [ctx.code(each) if each is not None else "" for each in told]
    return written[1] not in (written[0], written[2])


def _report(first: Link, second: Link, ctx: Context) -> None:
    ctx.report(
        second.node,
        "a linear layer directly after a linear layer: without an activation between, the two compute what one layer "
        "with the weight W2 @ W1 does; put an activation between or drop one",
        related=[(first.node, "the layer before")],
    )
