"""Gradients that are clipped while a `GradScaler` still has them multiplied.

## What it does
Reports `clip_grad_norm_` and `clip_grad_value_` after `scaler.scale(loss).backward()` without
`scaler.unscale_(optimizer)` in between, where `scaler.step(optimizer)` follows.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
A `GradScaler` multiplies the loss, and so every gradient, by 65536 at first. The bound is compared with these numbers:
`max_norm=1` allows a true norm of 1/65536 = 1.5e-5, nearly every gradient is cut down to it, and because the scale
changes during training the effective learning rate changes with it.

## Example
```python
def train(model, optimizer, loader):
    scaler = torch.amp.GradScaler()
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
```

## Use instead
```python
def train(model, optimizer, loader):
    scaler = torch.amp.GradScaler()
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
```

## Fix safety
Safe: `step()` knows that the gradients are unscaled already, and the bound becomes the one that is written. With
`enabled=False` nothing changes.

## References
- https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping
- https://github.com/Lightning-AI/pytorch-lightning/issues/9599
- https://github.com/pytorch/examples/issues/1196
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import constant, number
from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.clipping import bound_of, is_measuring, mentions_scale
from gradlint.rules.lines import added_above, line_of
from gradlint.semantics.layer_values import argument
from gradlint.semantics.training_events import Event, EventKind

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.training_loop import Round

_DEFAULT_SCALE = 65536.0


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every clipping of every round."""
    for clip, each in ctx.loops.events(EventKind.CLIP):
        if isinstance(clip.call, cst.Call) and not is_measuring(clip.call, ctx) and not mentions_scale(clip.call):
            pair = _around(clip, each)
            if pair is not None:
                _report(clip, *pair, ctx)


def _around(clip: Event, each: Round) -> tuple[Event, Event] | None:
    """The scaled `backward()` before and the scaled `step()` after a clipping, with nothing else in between."""
    before = next((event for event, _ in each.before(clip)), None)
    kinds = (EventKind.CLIP, EventKind.UNSCALE)
    after = next((event for event, _ in each.after(clip) if event.kind not in kinds), None)
    if before is None or after is None or before.kind is not EventKind.BACKWARD or after.kind is not EventKind.STEP:
        return None
    scaled = before.scaler is not None and after.scaler is not None
    return (before, after) if scaled and before.always_with(clip) and after.arms == clip.arms else None


def _report(clip: Event, backward: Event, step: Event, ctx: Context) -> None:
    scaler = step.scaler
    made = ctx.loops.optimizers.scaler_call(scaler)
    enabled = constant(argument(made, 4, "enabled"), ctx.names) if made is not None else None
    if scaler is None or step.receiver is None or enabled is False or not isinstance(clip.call, cst.Call):
        return
    given = argument(made, -1, "init_scale") if made is not None else None
    scale = _DEFAULT_SCALE if given is None else number(given, ctx.names)
    bound = number(bound_of(clip.call), ctx.names)
    written = "the bound is compared with multiplied gradients"
    if scale is not None:
        written = f"the gradients are still multiplied by the scale, {scale:g} at first"
        if bound is not None:
            written += f": a bound of {bound:g} allows {bound / scale:.2g}"
    unscale = f"{ctx.code(scaler)}.unscale_({ctx.code(step.receiver)})"
    ctx.report(
        clip.call,
        f"clipped before unscaling, {written}; call `{unscale}` first",
        fix=_fix(clip, step, unscale, ctx),
        related=[(backward.call, "multiplies the gradients"), (step.call, "the step")],
    )


def _fix(clip: Event, step: Event, unscale: str, ctx: Context) -> Fix | None:
    line = line_of(clip.call, ctx)
    if line is None or step.via is not None:
        return None
    return ctx.fix(Safety.SAFE, added_above(line, unscale, ctx))
