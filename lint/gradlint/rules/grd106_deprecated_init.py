"""An init function of torch under its old name without underscore.

## What it does
Reports calls of `torch.nn.init` functions under the names they had before torch 0.4, such as `xavier_uniform`,
`kaiming_normal` and `constant`.

## Why is this bad
They are aliases that warn (FutureWarning) at every call and may go at any release. The underscore also says what
happens: the tensor is changed in place, and a result that is not used is no mistake.

## Example
```python
layer = nn.Linear(4, 4)
nn.init.xavier_uniform(layer.weight)
```

## Use instead
```python
layer = nn.Linear(4, 4)
nn.init.xavier_uniform_(layer.weight)
```

## Fix safety
Safe: the old name calls the new one. A name that is imported by itself is left to you.

## References
- https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.words import words

_INIT = "torch.nn.init."
_OLD = frozenset(
    _INIT + name
    for name in words(
        "constant dirac eye kaiming_normal kaiming_uniform normal orthogonal sparse uniform xavier_normal"
        " xavier_uniform"
    )
)


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every call of an init function of torch."""
    name = ctx.names.full_name(call.func)
    if name not in _OLD:
        return
    short = (name or "").removeprefix(_INIT)
    is_attribute = isinstance(call.func, cst.Attribute) and call.func.attr.value == short
    ctx.report(
        call,
        f"`{short}` is the name before torch 0.4 of `{short}_`, which each call warns of; use `{short}_`",
        fix=ctx.fix(Safety.SAFE, ctx.insert_after(call.func, "_")) if is_attribute else None,
    )
