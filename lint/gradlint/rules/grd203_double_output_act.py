"""A softmax or sigmoid of what a softmax or sigmoid gave.

## What it does
Follows the layers of each `Sequential` and each `forward` and reports softmax or sigmoid directly after softmax or
sigmoid, with nothing but changes of shape between them, and log_softmax after either.

## Why is this bad
The first squeezes everything into 0 to 1, so the second can no longer be sure of anything: of 10 classes the largest
probability of softmax(softmax(x)) is e/(e + 9) = 0.23, sigmoid(sigmoid(x)) lies between 0.5 and 0.73. The
gradient passes two saturating functions.

## Example
```python
net = nn.Sequential(nn.Linear(4, 10), nn.Softmax(dim=-1), nn.Softmax(dim=-1))
```

## Use instead
```python
net = nn.Sequential(nn.Linear(4, 10), nn.Softmax(dim=-1))
```

## Fix safety
Unsafe: the outputs change. Only a layer that is an argument of a `Sequential` is taken out.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layers import LinkKind

if TYPE_CHECKING:
    from gradlint.semantics.layers import Link

_FIRST = frozenset({"softmax", "sigmoid"})
_SECOND = {
    "softmax": "the largest of 10 probabilities is at most e/(e + 9) = 0.23",
    "log_softmax": "the largest of 10 probabilities is at most e/(e + 9) = 0.23",
    "sigmoid": "the output lies between 0.5 and 0.73",
}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the neighbours in every chain."""
    seen: set[cst.CSTNode] = set()
    for chain in ctx.chains.all:
        links = [link for link in chain.links if link.kind is not LinkKind.RESHAPE]
        for first, second in pairwise(links):
            pair = first.activation in _FIRST and second.activation in _SECOND
            if pair and not first.bypassed and not second.bypassed and second.node not in seen:
                seen.add(second.node)
                _report(first, second, ctx)


def _report(first: Link, second: Link, ctx: Context) -> None:
    ctx.report(
        second.node,
        f"{second.activation} of a {first.activation}: {_SECOND[second.activation or '']}; drop one of them",
        fix=_fix(first, second, ctx),
        related=[(first.node, f"the {first.activation} before it")],
    )


def _fix(first: Link, second: Link, ctx: Context) -> Fix | None:
    given = ctx.tree.parent(second.node)
    call = ctx.tree.parent(given) if isinstance(given, cst.Arg) else None
    in_sequence = isinstance(call, cst.Call) and ctx.names.full_name(call.func) == "torch.nn.Sequential"
    if not in_sequence or not isinstance(call, cst.Call) or not isinstance(given, cst.Arg) or first.node is second.node:
        return None
    return ctx.fix(Safety.UNSAFE, ctx.drop_argument(call, given))
