"""A loss that is given probabilities where it wants logits, or logits where it wants probabilities.

## What it does
Follows what a loss of torch is given through variables, functions and the networks of the file, and reports
cross-entropy of a softmax or sigmoid, `NLLLoss` of a softmax or sigmoid, `BCEWithLogitsLoss` of a sigmoid or softmax,
and `BCELoss` and `NLLLoss` of a network that ends in a linear layer or convolution. Cross-entropy of a log_softmax
gives the right numbers and is info.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
Cross-entropy applies log_softmax itself. Of probabilities, which lie between 0 and 1, it cannot get below
log(1 + (C-1)/e): 1.46 for 10 classes, however sure and right the network is, and the gradient at equal logits is 1/C of
what it should be. `NLLLoss` of probabilities is not a likelihood, and a second sigmoid keeps the loss above
log(1 + 1/e) = 0.31 for positive targets and above log(2) = 0.69 for negative ones. `BCELoss` of logits raises or is
computed from clamped logarithms.

## Example
```python
net = nn.Sequential(nn.Linear(4, 10), nn.Softmax(dim=-1))
criterion = nn.CrossEntropyLoss()

def loss_of(x, y):
    return criterion(net(x), y)
```

## Use instead
```python
net = nn.Sequential(nn.Linear(4, 10))
criterion = nn.CrossEntropyLoss()

def loss_of(x, y):
    return criterion(net(x), y)
```

## Fix safety
Unsafe: the loss changes, and what reads probabilities elsewhere needs the activation. Offered where the activation is
called in the loss's argument itself.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
- https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
- https://github.com/Lightning-Universe/lightning-bolts/issues/654
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Level, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument
from gradlint.semantics.output_activation import Ending, OutputActivations

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.losses import Loss

_WANTED = {
    "CrossEntropyLoss": "logits",
    "NLLLoss": "log-probabilities",
    "BCEWithLogitsLoss": "logits",
    "BCELoss": "probabilities",
}
_WRONG = {
    "CrossEntropyLoss": ("softmax", "sigmoid", "log_softmax"),
    "NLLLoss": ("softmax", "sigmoid", ""),
    "BCEWithLogitsLoss": ("sigmoid", "softmax", "logsigmoid"),
    "BCELoss": ("",),
}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every call of a loss."""
    outputs = OutputActivations(ctx.tree, ctx.names, ctx.classes, ctx.chains, ctx.origins)
    for call in ctx.tree.nodes(cst.Call):
        loss = ctx.losses.of(call)
        if loss is None or loss.name not in _WRONG:
            continue
        ending = outputs.of(loss.input)
        if ending is not None and ending.activation in _WRONG[loss.name]:
            _report(loss, ending, ctx)


def _report(loss: Loss, ending: Ending, ctx: Context) -> None:
    harmless = (loss.name, ending.activation) == ("CrossEntropyLoss", "log_softmax")
    given = f"the output of a {ending.activation}" if ending.activation else "what a weight layer gives"
    said = f"{loss.name} wants {_WANTED[loss.name]} and is given {given}: {_effect(loss, ending)}"
    ctx.report(
        loss.call,
        f"{said}; {_advice(loss, ending)}",
        level=Level.INFO if harmless else None,
        fix=_fix(loss, ending, ctx),
        related=[(ending.node, "the activation" if ending.activation else "the last layer")],
    )


def _effect(loss: Loss, ending: Ending) -> str:
    if loss.name == "CrossEntropyLoss":
        if ending.activation == "log_softmax":
            return "log_softmax is applied twice, which changes no number"
        if argument(loss.made or loss.call, -1, "label_smoothing") is not None or ending.classes == 1:
            return "it applies log_softmax itself"
        count = ending.classes or 10
        floor = math.log(1 + (count - 1) / math.e)
        return f"it applies log_softmax itself, so with {count} classes the loss stays above {floor:.2f}"
    if loss.name == "BCEWithLogitsLoss":
        return "it applies sigmoid itself, so the loss stays above 0.31 for target 1 and above 0.69 for target 0"
    if loss.name == "NLLLoss":
        return "the loss is -p and no likelihood" if ending.activation else "the loss has no lower bound"
    return "values outside of 0 to 1 raise an error"


def _advice(loss: Loss, ending: Ending) -> str:
    if loss.name == "NLLLoss":
        return "use log_softmax" if ending.activation != "" else "use CrossEntropyLoss"
    return "use BCEWithLogitsLoss" if loss.name == "BCELoss" else f"drop the {ending.activation}"


def _fix(loss: Loss, ending: Ending, ctx: Context) -> Fix | None:
    inner = ending.argument
    if loss.name not in ("CrossEntropyLoss", "BCEWithLogitsLoss") or inner is None or loss.input is None:
        return None
    direct = ending.node is loss.input or (
        isinstance(loss.input, cst.Call)
        and loss.input.args[:1] != ()
        and inner in [given.value for given in loss.input.args]
    )
    return ctx.fix(Safety.UNSAFE, ctx.replace(loss.input, ctx.code(inner))) if direct else None
