"""`with torch.no_grad:` without parentheses.

## What it does
Reports `torch.no_grad`, `enable_grad`, `inference_mode`, `set_grad_enabled` and `autograd.detect_anomaly` as the
context of a `with` without being called. As decorators the first three work without parentheses and stay silent.

## Why is this bad
The class is no context manager, only its instances are: Python raises TypeError (AttributeError before 3.11) when
the block is reached, often first in the evaluation after an epoch of training.

## Example
```python
with torch.no_grad:
    y = torch.ones(3)
```

## Use instead
```python
with torch.no_grad():
    y = torch.ones(3)
```

## Fix safety
Safe: the statement raises as it stands. `set_grad_enabled` needs an argument and has no fix.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.words import words

_WITHOUT_ARGUMENT = frozenset(
    name
    for short in words("no_grad enable_grad inference_mode")
    for name in (f"torch.{short}", f"torch.autograd.{short}", f"torch.autograd.grad_mode.{short}")
) | {"torch.autograd.detect_anomaly", "torch.autograd.anomaly_mode.detect_anomaly"}
_WITH_ARGUMENT = frozenset({"torch.set_grad_enabled", "torch.autograd.set_grad_enabled"})


@checks(cst.WithItem)
def check(item: cst.WithItem, ctx: Context) -> None:
    """Look at the contexts of every `with`."""
    name = ctx.names.full_name(item.item)
    if name not in _WITHOUT_ARGUMENT | _WITH_ARGUMENT:
        return
    text = ctx.code(item.item)
    called = f"{text}()" if name in _WITHOUT_ARGUMENT else f"{text}(False)"
    ctx.report(
        item.item,
        f"`{text}` is the class, not a context, and `with` raises TypeError; call it: `{called}`",
        fix=ctx.fix(Safety.SAFE, ctx.insert_after(item.item, "()")) if name in _WITHOUT_ARGUMENT else None,
    )
