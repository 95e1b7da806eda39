"""Gradients that are clipped after `step()` or before `backward()`, where clipping has no effect.

## What it does
Reports `clip_grad_norm_` and `clip_grad_value_` where the gradients were just zeroed (there is nothing to clip yet), or
where the step has used them already and `zero_grad()` comes before the next `backward()`. Silent for an infinite norm,
which only measures, and where gradients are kept over several rounds.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
The step sees the gradient as `backward()` left it: with a norm of 1000 and `max_norm=1` the update is 1000 times larger
than what the clipping was written to allow. Training explodes as if it were not there.

## Example
```python
def train(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
```

## Use instead
```python
def train(model, optimizer, loader):
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
```

## Fix safety
Safe: where it stands the call changes nothing, and between `backward()` and `step()` it does what it says. Offered
where clip and step stand in one block and the gradients are not scaled.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
- https://github.com/VGraphRNN/VGRNN/issues/4
- https://github.com/Lightning-AI/pytorch-lightning/issues/10248
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.clipping import is_measuring
from gradlint.rules.lines import line_of, moved
from gradlint.semantics.training_events import Event, EventKind
from gradlint.semantics.training_loop import concerns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import Fix
    from gradlint.semantics.training_loop import Round


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every clipping of every round."""
    for clip, each in ctx.loops.events(EventKind.CLIP):
        if isinstance(clip.call, cst.Call) and not is_measuring(clip.call, ctx):
            _look(clip, each, ctx)


def _look(clip: Event, each: Round, ctx: Context) -> None:
    step = _step_of(clip, each)
    if step is None:
        return
    before, after = _nearest(each.before(clip), clip, step), _nearest(each.after(clip), clip, step)
    if before is None or after is None:
        return
    if before.kind is EventKind.ZERO and after.kind is EventKind.BACKWARD:
        _report(clip, step, before, "the gradients were just zeroed, backward() has not come yet", each, ctx)
    elif before.kind is EventKind.STEP and after.kind is EventKind.ZERO:
        _report(clip, step, before, "the step has used the gradients and they are zeroed next", each, ctx)


def _step_of(clip: Event, each: Round) -> Event | None:
    """The step whose gradients are clipped: the only one, or the one that steps the clipped modules."""
    steps = [event for event in each.events if event.kind is EventKind.STEP]
    if len({event.place for event in steps}) > 1:
        steps = [event for event in steps if concerns(clip, event)]
    return steps[0] if len({event.place for event in steps}) == 1 else None


def _nearest(events: Iterable[tuple[Event, bool]], clip: Event, step: Event) -> Event | None:
    """The nearest event that matters to the gradients of a step; None when it is not sure to happen."""
    for event, _ in events:
        if event.kind in (EventKind.ZERO, EventKind.STEP) and concerns(event, step) is False:
            continue
        if event.kind in (EventKind.CLIP, EventKind.UNSCALE):
            continue
        return event if event.kind is not EventKind.OPAQUE and event.always_with(clip) else None
    return None


def _report(clip: Event, step: Event, before: Event, why: str, each: Round, ctx: Context) -> None:
    assert isinstance(clip.call, cst.Call)
    name = (ctx.names.full_name(clip.call.func) or "").rpartition(".")[2]
    ctx.report(
        clip.call,
        f"`{name}` has no effect here: {why}, so the update is never clipped; clip between backward() and step()",
        fix=_fix(clip, step, each, ctx),
        related=[(step.call, "the step"), *([(before.call, "zeroes")] if before.call is not step.call else [])],
    )


def _fix(clip: Event, step: Event, each: Round, ctx: Context) -> Fix | None:
    line, target = line_of(clip.call, ctx), line_of(step.call, ctx)
    single = sum(event.kind is EventKind.STEP for event in each.events) == 1
    if line is None or target is None or not single or step.via is not None or step.scaler is not None:
        return None
    index = each.events.index(step)
    ready = any(event.kind is EventKind.BACKWARD and event.always_with(step) for event in each.events[:index])
    if not ready or ctx.tree.parent(line) is not ctx.tree.parent(target):
        return None
    return ctx.fix(Safety.SAFE, *moved(line, target, ctx))
