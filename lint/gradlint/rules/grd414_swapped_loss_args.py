"""A loss that is given the target first and the prediction second.

## What it does
Reports cross-entropy, NLL, binary cross-entropy (with and without logits) and KL divergence whose first argument is a
target by its name and not computed by a network, and whose second is what a network gave. MSE and L1 are symmetric and
stay silent.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
torch's order is `(input, target)`, the opposite of scikit-learn's. Binary cross-entropy takes the logarithm of its
first argument: of a target of 0 or 1 it is clamped at -100, so a prediction of 0.9 for target 1 costs 10.0 instead of
0.105. Other losses raise, or differentiate the wrong side.

## Example
```python
def loss_of(model, x, target):
    output = model(x)
    return nn.functional.binary_cross_entropy(target, output)
```

## Use instead
```python
def loss_of(model, x, target):
    output = model(x)
    return nn.functional.binary_cross_entropy(output, target)
```

## Fix safety
Unsafe: the loss changes.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.reaching import reaching_value

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.losses import Loss

_ASYMMETRIC = {
    "CrossEntropyLoss": "the softmax is taken of the target",
    "NLLLoss": "the likelihood is read from the target",
    "BCELoss": "the logarithm is taken of the target, -100 at 0",
    "BCEWithLogitsLoss": "the sigmoid is taken of the target",
    "KLDivLoss": "the logarithm is expected of the target",
}
_TARGET = re.compile(r"(?:^|_)(?:targets?|labels?|true|truth|gt|gts|tgt)(?:_|\d|$)|^ys?$|^y_?batch$|^batch_y$")
_PREDICTION = re.compile(r"pred|logit|out(?:put)?s?(?:_|\d|$)|prob|hat(?:_|\d|$)|scores?(?:_|\d|$)")
_NETWORK = re.compile(
    r"(?:^|_)(?:net(?:work)?|model|classifier|discriminator|critic|student|encoder|decoder)(?:_|\d|$)"
)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every call of a loss."""
    for call in ctx.tree.nodes(cst.Call):
        loss = ctx.losses.of(call)
        if loss is None or loss.name not in _ASYMMETRIC or any(given.keyword for given in call.args[:2]):
            continue
        if loss.input is not None and loss.target is not None and _are_swapped(loss, ctx):
            _report(loss, ctx)


def _are_swapped(loss: Loss, ctx: Context) -> bool:
    first, second = loss.input, loss.target
    if not isinstance(first, cst.Name) or not _TARGET.search(first.value) or _PREDICTION.search(first.value):
        return False
    if _is_prediction(first, ctx) or (isinstance(second, cst.Name) and _TARGET.search(second.value)):
        return False
    named = isinstance(second, cst.Name) and _PREDICTION.search(second.value) is not None
    computed = isinstance(second, cst.Name) and isinstance(reaching_value(second, ctx.tree, ctx.names), cst.Call)
    return _is_prediction(second, ctx) or (named and computed and _comes_from_data(first, ctx))


def _is_prediction(value: cst.BaseExpression | None, ctx: Context) -> bool:
    """Whether a value is what a network gives: it carries a graph, or comes from a call of something called so."""
    if ctx.graphs.carries(value):
        return True
    made = reaching_value(value, ctx.tree, ctx.names) if isinstance(value, cst.Name) else value
    function = made.func if isinstance(made, cst.Call) else None
    name = function.attr.value if isinstance(function, cst.Attribute) else getattr(function, "value", "")
    return isinstance(name, str) and _NETWORK.search(name) is not None


def _comes_from_data(name: cst.Name, ctx: Context) -> bool:
    """Whether a name is a parameter or the variable of a loop: nothing here computed it."""
    kinds = {binding.kind.value for binding in ctx.names.reference(name).bindings}
    return bool(kinds) and kinds <= {"parameter", "loop", "unpacking"}


def _report(loss: Loss, ctx: Context) -> None:
    assert loss.input is not None
    assert loss.target is not None
    target, prediction = ctx.code(loss.input), ctx.code(loss.target)
    ctx.report(
        loss.call,
        f"{loss.name} is given the target `{target}` before the prediction `{prediction}`: "
        f"{_ASYMMETRIC[loss.name]}; the order is (input, target)",
        fix=_fix(loss, target, prediction, ctx),
    )


def _fix(loss: Loss, target: str, prediction: str, ctx: Context) -> Fix | None:
    assert loss.input is not None
    assert loss.target is not None
    return ctx.fix(Safety.UNSAFE, ctx.replace(loss.input, prediction), ctx.replace(loss.target, target))
