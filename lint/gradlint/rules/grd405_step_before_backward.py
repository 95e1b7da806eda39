"""`step()` between the forward pass and its `backward()`.

## What it does
Reports `optimizer.step()` in a round whose loss is computed before the step and differentiated after it, with no
`backward()` before the step. Silent in a loop that begins with the step of the round before, and where the step depends
on a condition of its own.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
The step uses the gradients of the round before, or none at all: with `zero_grad()` at the top of the loop the weights
never change. Where it does change them, `backward()` then differentiates at weights that the loss was not computed
with; torch raises "modified by an inplace operation" for some layers and is silently wrong for others.

## Example
```python
def train(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.step()
        loss.backward()
```

## Use instead
```python
def train(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
```

## Fix safety
Unsafe: weights that stood still, or followed old gradients, begin to be trained.

## References
- https://docs.pytorch.org/docs/stable/optim.html#taking-an-optimization-step
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.lines import block_line, line_of, moved
from gradlint.semantics.reaching import reaching_value
from gradlint.semantics.training_events import Event, EventKind
from gradlint.semantics.training_loop import concerns

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.training_loop import Round


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every step of every round."""
    for step, each in ctx.loops.events(EventKind.STEP):
        backward = _late_backward(step, each, ctx) if each.only_step() else None
        if backward is not None:
            _report(step, backward, each, ctx)


def _late_backward(step: Event, each: Round, ctx: Context) -> Event | None:
    """The `backward()` that comes after the step, of a loss made before it."""
    index = each.events.index(step)
    gradients = (EventKind.BACKWARD, EventKind.OPAQUE)
    earlier = [event for event in each.events[:index] if event.kind in gradients]
    later = [event for event in each.events[index + 1 :] if event.kind in gradients]
    if earlier or len(later) != 1 or later[0].kind is not EventKind.BACKWARD or later[0].arms != step.arms:
        return None
    made = reaching_value(later[0].receiver, ctx.tree, ctx.names) if isinstance(later[0].receiver, cst.Name) else None
    block = ctx.tree.parent(ctx.tree.statement(step.call))
    forward, stepping = (None if node is None else block_line(node, block, ctx) for node in (made, step.call))
    body = list(getattr(block, "body", ()))
    in_order = forward in body and stepping in body and body.index(forward) < body.index(stepping)
    return later[0] if in_order and later[0].via is None else None


def _report(step: Event, backward: Event, each: Round, ctx: Context) -> None:
    zeroed = next((event for event in each.events[: each.events.index(step)] if event.kind is EventKind.ZERO), None)
    never = zeroed is not None and zeroed.arms == () and concerns(zeroed, step)
    effect = "they were just zeroed, so the weights never change" if never else "it uses those of the round before"
    ctx.report(
        step.call,
        f"`{ctx.code(step.call)}` comes before `{ctx.code(backward.call)}` has computed this round's gradients: "
        f"{effect}; step after backward()",
        fix=_fix(step, backward, ctx),
        related=[(backward.call, "computes the gradients")],
    )


def _fix(step: Event, backward: Event, ctx: Context) -> Fix | None:
    line, target = line_of(step.call, ctx), line_of(backward.call, ctx)
    if line is None or target is None or ctx.tree.parent(line) is not ctx.tree.parent(target):
        return None
    return ctx.fix(Safety.UNSAFE, *moved(line, target, ctx, below=True))
