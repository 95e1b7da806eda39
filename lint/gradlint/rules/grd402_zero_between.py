"""Gradients that are zeroed between `backward()` and `step()`.

## What it does
Reports `zero_grad()` after `backward()` and before the `step()` of the same parameters, with no other `backward()` in
between. Silent where something that is not known could compute gradients in between.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
`zero_grad()` sets every gradient to None and `step()` skips parameters without one: nothing is learnt, and no message
says so. After 100 rounds the weights are still the ones of the first.

## Example
```python
def train(model, optimizer, loader):
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
```

## Use instead
```python
def train(model, optimizer, loader):
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
```

## Fix safety
Safe: as it stands no gradient ever reaches the step; the fix only moves the statement up to where it cannot destroy
what `backward()` computes. Offered where one `backward()` stands in the same block.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
- https://github.com/lucidrains/byol-pytorch/issues/93
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.lines import block_line, line_of, moved
from gradlint.semantics.training_events import Event, EventKind
from gradlint.semantics.training_loop import concerns

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.training_loop import Round


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every `zero_grad()` of every round."""
    for zero, each in ctx.loops.events(EventKind.ZERO):
        pair = _around(zero, each)
        if pair is not None:
            _report(zero, *pair, each, ctx)


def _around(zero: Event, each: Round) -> tuple[Event, Event] | None:
    """The `backward()` before and the `step()` after it, when nothing else happens in between."""
    after = next((event for event, again in each.after(zero) if not again and event.kind is not EventKind.ZERO), None)
    harmless = (EventKind.ZERO, EventKind.CLIP, EventKind.UNSCALE)
    before = next((event for event, again in each.before(zero) if not again and event.kind not in harmless), None)
    if after is None or before is None or after.kind is not EventKind.STEP or before.kind is not EventKind.BACKWARD:
        return None
    surely = before.always_with(zero) and after.arms == zero.arms and after.via is None
    return (before, after) if surely and concerns(zero, after) else None


def _report(zero: Event, backward: Event, step: Event, each: Round, ctx: Context) -> None:
    ctx.report(
        zero.call,
        f"`{ctx.code(zero.call)}` throws away what backward() has just computed: `{ctx.code(step.call)}` finds no "
        "gradient and the weights never change; zero before backward()",
        fix=_fix(zero, backward, each, ctx),
        related=[(backward.call, "computes the gradients"), (step.call, "finds none")],
    )


def _fix(zero: Event, backward: Event, each: Round, ctx: Context) -> Fix | None:
    line = line_of(zero.call, ctx)
    block = ctx.tree.parent(line) if line is not None else None
    target = block_line(backward.call, block, ctx)
    single = sum(event.kind is EventKind.BACKWARD for event in each.events) == 1
    if line is None or target is None or not single or backward.via is not None:
        return None
    return ctx.fix(Safety.SAFE, *moved(line, target, ctx))
