"""Sigmoid or tanh as the hidden activation of a shallow feed-forward stack.

## What it does
Reports one to three hidden layers with sigmoid, or one to seven with tanh, in a stack of linear or convolutional
layers without normalisation layer or skip connection: deeper ones are GRD201's. The output's activation is not hidden,
gates and attention scores are no feed-forward stack, and tanh in a file that initialises weights is left alone.

## Why is this bad
It works, but learns more slowly: the sigmoid passes on at most a quarter of the gradient (0.25 at 0, 0.045 at 3), the
tanh at most all of it (1 at 0, 0.0099 at 3), and both next to nothing where a unit is saturated. ReLU passes all of it
wherever a unit is active.

## Example
```python
net = nn.Sequential(nn.Linear(784, 256), nn.Sigmoid(), nn.Linear(256, 10))
```

## Use instead
```python
net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
```

## Fix safety
Unsafe: it is another network.

## References
- https://proceedings.mlr.press/v9/glorot10a.html
- https://d2l.ai/chapter_multilayer-perceptrons/mlp.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.saturating import is_initialised, relu_instead
from gradlint.semantics.stacks import Hidden, hidden_layers, plain_runs

if TYPE_CHECKING:
    from gradlint.semantics.layer_chain import Chain

_MOST = {"sigmoid": 3, "tanh": 7}
_GATES = re.compile(
    r"atten|attn|gate|gating|pooler|squeeze|excit|se_?block|recurrent|rnn|lstm|gru|policy|actor", re.IGNORECASE
)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stack; one that is part of a longer one is looked at once."""
    chains = [chain for chain in ctx.chains.all if not _is_gate(chain, ctx)]
    stacks = [(hidden_layers(run), is_initialised(chain, ctx)) for chain in chains for run in plain_runs(chain)]
    seen: set[cst.CSTNode] = set()
    for stack, initialised in sorted(stacks, key=lambda found: -len(found[0])):
        for word, most in _MOST.items():
            layers = [hidden for hidden in stack if hidden.word == word]
            nodes = {hidden.activation.node for hidden in layers}
            minded = word == "tanh" and initialised
            if 1 <= len(layers) <= most and seen.isdisjoint(nodes) and not minded:
                _report(word, layers, ctx)
            seen |= nodes


def _is_gate(chain: Chain, ctx: Context) -> bool:
    """Whether the names around a chain say that it scores or gates something."""
    target = ctx.tree.statement(chain.node)
    named = chain.owner.node.name.value if chain.owner is not None else ctx.code(target).partition("=")[0]
    return _GATES.search(named) is not None


def _report(word: str, layers: list[Hidden], ctx: Context) -> None:
    first = layers[0].activation.node
    others = dict.fromkeys(hidden.activation.node for hidden in layers if hidden.activation.node is not first)
    count = len(layers)
    shown = f"{count} hidden {word} layer{'s' if count > 1 else ''}"
    bound = f"at most 0.25**{count} = {0.25**count:.2g}" if word == "sigmoid" else "at most 1, 0.0099 at 3,"
    ctx.report(
        first,
        f"{shown}: the gradient is scaled by {bound} and less where units are saturated; ReLU or GELU passes it on",
        fix=ctx.fix(Safety.UNSAFE, *(relu_instead(node, ctx) for node in (first, *others))),
        related=[(node, f"another hidden {word}") for node in others],
    )
