"""A softmax without `dim`, whose axis torch chooses by the number of dimensions.

## What it does
Reports `functional.softmax`, `log_softmax` and `softmin` and `nn.Softmax`, `LogSoftmax` and `Softmin` without `dim`,
or with `dim=None`.

## Why is this bad
The implicit axis is 0 for inputs with 0, 1 or 3 dimensions and 1 for all others. A batch of sequences of shape
(batch, length, classes) is therefore normalised over the *batch*: probabilities of one sample depend on the others,
and those of its classes do not add up to 1. torch warns of it, once, at run time.

## Example
```python
scores = torch.nn.functional.softmax(torch.randn(8, 100, 10))
```

## Use instead
```python
scores = torch.nn.functional.softmax(torch.randn(8, 100, 10), dim=-1)
```

## Fix safety
Unsafe: `dim=-1` is another axis than the implicit one for inputs with 3 or more dimensions.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html
- https://github.com/PetrochukM/PyTorch-NLP/issues/2
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument

_FUNCTIONS = frozenset(f"torch.nn.functional.{name}" for name in ("softmax", "log_softmax", "softmin"))
_CLASSES = frozenset(f"torch.nn.{name}" for name in ("Softmax", "LogSoftmax", "Softmin"))


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every softmax of torch that may be called without `dim`."""
    name = ctx.names.full_name(call.func)
    if name not in _FUNCTIONS | _CLASSES or any(given.star for given in call.args):
        return
    dim = argument(call, 1 if name in _FUNCTIONS else 0, "dim")
    if dim is None or (isinstance(dim, cst.Name) and dim.value == "None"):
        short = (name or "").rpartition(".")[2]
        ctx.report(
            call,
            f"{short} without dim: torch takes axis 0 for inputs with 0, 1 or 3 dimensions (the batch, if they are "
            "batched) and axis 1 for others; say dim=-1, or the axis that is meant",
            fix=_fix(call, dim, ctx),
        )


def _fix(call: cst.Call, dim: cst.BaseExpression | None, ctx: Context) -> Fix | None:
    if dim is None:
        return ctx.fix(Safety.UNSAFE, ctx.add_keyword(call, "dim=-1"))
    return ctx.fix(Safety.UNSAFE, ctx.replace(dim, "-1"))
