"""A loss class that is given the data, which makes a module instead of a loss.

## What it does
Reports `nn.MSELoss(output, target)` and the like: two positional arguments, none of which can be an option.

## Why is this bad
The arguments of the constructor are options, so the outputs are taken for `size_average` and the targets for
`reduce`. Depending on the values, torch raises RuntimeError ("Boolean value of Tensor ... is ambiguous"), or the
result is a module without a value or `backward()`.

## Example
```python
output, target = torch.ones(3), torch.zeros(3)
loss = nn.MSELoss(output, target)
```

## Use instead
```python
output, target = torch.ones(3), torch.zeros(3)
loss = nn.MSELoss()(output, target)
```

## Fix safety
Safe: as it stands the call raises or gives no loss. With keyword arguments there is no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
"""

from __future__ import annotations

import re

import libcst as cst

from gradlint.constants import UNKNOWN, constant
from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.words import words

_LOSSES = frozenset(
    f"torch.nn.{name}Loss"
    for name in words(
        "MSE L1 SmoothL1 CrossEntropy NLL BCE BCEWithLogits KLDiv SoftMargin MultiLabelMargin MultiLabelSoftMargin"
    )
)
_OPTION = re.compile(r"weight|average|reduc|ignore|margin|cfg|config|args|opts|option|hparam", re.IGNORECASE)


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every constructor of a loss."""
    name = ctx.names.full_name(call.func)
    if name not in _LOSSES or any(given.star for given in call.args):
        return
    data = [given.value for given in call.args if given.keyword is None]
    named = [given.keyword.value for given in call.args if given.keyword is not None]
    as_keywords = {"input", "target"} <= set(named)
    if not as_keywords and (len(data) != 2 or any(_may_be_option(value, ctx) for value in data)):
        return
    short = (name or "").rpartition(".")[2]
    ctx.report(
        call,
        f"`{short}` is given data where it takes options: this makes a module, not a loss, or raises; write "
        f"`{ctx.code(call.func)}()(...)`",
        fix=None if named else ctx.fix(Safety.SAFE, ctx.insert_after(call.func, "()")),
    )


def _may_be_option(value: cst.BaseExpression, ctx: Context) -> bool:
    return constant(value, ctx.names) is not UNKNOWN or _OPTION.search(ctx.code(value)) is not None
