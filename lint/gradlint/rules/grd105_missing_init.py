"""A deep stack without normalisation keeps torch's default initialisation.

## What it does
Reports stacks of eight or more linear or convolutional layers with ReLU, or four or more with sigmoid or tanh, that
have no normalisation layer and no skip connection between them, in a file that initialises nothing: no call of
`torch.nn.init` or of an in-place method, no `apply`, no `reset_parameters`, no checkpoint or pretrained weights.

## Why is this bad
`nn.Linear` and `nn.Conv2d` start from `kaiming_uniform_(a=sqrt(5))`, whose gain is 1/sqrt(3), not sqrt(2): each ReLU
layer leaves 1/sqrt(6) = 0.41 of the signal that depends on the input and of the gradient, each tanh layer at most 0.58
and each sigmoid layer at most 0.14. In torch 2.13 a stack of 30 ReLU layers without bias has an output of standard
deviation 1e-12.

## Example
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(12)], nn.Linear(64, 1))
```

## Use instead
```python
net = nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(12)], nn.Linear(64, 1))
for m in net.modules():
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
```

## Fix safety
There is no fix: where the initialisation belongs is a choice. Normalisation or skip connections are another remedy.

## References
- https://arxiv.org/abs/1502.01852
- https://github.com/pytorch/pytorch/issues/18182
"""

from __future__ import annotations

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.rules.saturating import is_initialised
from gradlint.semantics.stacks import RELU_LIKE, Hidden, hidden_layers, plain_runs

_RELUS = 8
_SATURATING = 4
_LEFT = {"ReLU": 6**-0.5, "tanh": 3**-0.5, "sigmoid": 0.25 * 3**-0.5}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every stack of a file that initialises nothing; a stack is reported once."""
    bare = [chain for chain in ctx.chains.all if not is_initialised(chain, ctx)]
    stacks = [hidden_layers(run) for chain in bare for run in plain_runs(chain)]
    seen: set[cst.CSTNode] = set()
    for stack in sorted(stacks, key=len, reverse=True):
        kinds = {
            "ReLU": [hidden for hidden in stack if hidden.word in RELU_LIKE],
            "sigmoid": [hidden for hidden in stack if hidden.word == "sigmoid"],
            "tanh": [hidden for hidden in stack if hidden.word == "tanh"],
        }
        for kind, layers in kinds.items():
            enough = len(layers) >= (_RELUS if kind == "ReLU" else _SATURATING)
            if enough and seen.isdisjoint(hidden.weight.node for hidden in layers):
                seen.update(hidden.weight.node for hidden in layers)
                _report(kind, layers, ctx)


def _report(kind: str, layers: list[Hidden], ctx: Context) -> None:
    first = layers[0].weight.node
    others = dict.fromkeys(hidden.weight.node for hidden in layers if hidden.weight.node is not first)
    ctx.report(first, message(kind, len(layers)), related=[(node, "another layer of the stack") for node in others])


def message(kind: str, count: int) -> str:
    """What is wrong, with the number that makes it true."""
    each = _LEFT[kind]
    scheme = "He (`kaiming_normal_`)" if kind == "ReLU" else "Xavier"
    return (
        f"{count} {kind} layers with the default initialisation (gain 0.58) and no normalisation or skip connection"
        f" between: about {each:.2f}**{count} = {each**count:.1e} of the signal and of the gradient is left; use"
        f" {scheme} initialisation, or normalise"
    )
