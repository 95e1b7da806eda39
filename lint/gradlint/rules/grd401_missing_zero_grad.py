"""A training loop that never zeroes the gradients.

## What it does
Reports `optimizer.step()` in a loop that calls `backward()`, where no statement of the loop, of a loop around it or of
the file's functions that it calls zeroes the gradients. Silent where the optimizer is made anew in the loop or is not
known to be one of torch's, where a function of another file is given the optimizer, and where Lightning, Accelerate or
another framework that may zero is imported.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index.

## Why is this bad
`backward()` adds to `.grad`. Without `zero_grad()` step N uses the sum of the gradients of all N batches so far: the
third step on one batch is 3 times as large as it should be, and training becomes unstable or diverges.

## Example
```python
def train(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
```

## Use instead
```python
def train(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
```

## Fix safety
Unsafe: the updates become smaller, and a learning rate that was tuned to the sums no longer fits.

## References
- https://docs.pytorch.org/docs/stable/optim.html#taking-an-optimization-step
- https://docs.pytorch.org/tutorials/recipes/recipes/zeroing_out_gradients.html
- https://github.com/snakers4/silero-vad/issues/699
- https://github.com/pytorch/pytorch/issues/47175
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.lines import added_above, added_below, line_of
from gradlint.scopes import BindingKind
from gradlint.semantics.optimizers import Sure
from gradlint.semantics.training_events import EventKind
from gradlint.semantics.training_loop import concerns

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.semantics.training_events import Event
    from gradlint.semantics.training_loop import Round


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every loop with a step, the inner ones first."""
    if ctx.loops.has_framework:
        return
    seen: set[cst.CSTNode] = set()
    for loop in reversed(ctx.loops.loops):
        several = (loop, *ctx.loops.around(loop))
        for step in loop.events:
            if step.kind is EventKind.STEP and step.call not in seen and _never_zeroed(step, loop, several, ctx):
                seen.add(step.call)
                _report(step, loop, ctx)


def _never_zeroed(step: Event, loop: Round, several: tuple[Round, ...], ctx: Context) -> bool:
    backward = [event for event in loop.events if event.kind is EventKind.BACKWARD]
    if not backward or step.receiver is None or ctx.loops.optimizers.sure(step.receiver) < Sure.GIVEN:
        return False
    if _is_made_within(step, several, ctx):
        return False
    return not any(_may_zero(event, step) for each in several for event in each.events)


def _may_zero(event: Event, step: Event) -> bool:
    if event.kind is EventKind.OPAQUE:
        return True
    return event.kind is EventKind.ZERO and concerns(event, step) is not False


def _is_made_within(step: Event, several: tuple[Round, ...], ctx: Context) -> bool:
    """Whether the optimizer, or what it steps, is made in one of the loops; or the step alone is given one."""
    assert step.receiver is not None
    made: list[cst.CSTNode] = [*ctx.origins.of(step.receiver)]
    if isinstance(step.receiver, cst.Name):
        made += [each.node for each in ctx.names.reference(step.receiver).bindings if each.kind is BindingKind.LOOP]
    nodes = {each.node for each in several}
    return any(above in nodes for node in made for above in ctx.tree.ancestors(node))


def _report(step: Event, loop: Round, ctx: Context) -> None:
    assert step.receiver is not None
    backward = next(event for event in loop.events if event.kind is EventKind.BACKWARD)
    name = ctx.code(step.receiver)
    made = ctx.loops.optimizers.construction(step.receiver)
    ctx.report(
        step.call,
        f"nothing in this loop zeroes the gradients: backward() adds to `.grad`, so step N of `{name}` uses the sum of "
        f"N gradients; call `{name}.zero_grad()` once a round",
        fix=_fix(step, backward, name, ctx),
        related=[(backward.call, "adds to .grad"), *([(made, "the optimizer")] if made is not None else [])],
    )


def _fix(step: Event, backward: Event, name: str, ctx: Context) -> Fix | None:
    stepping, differentiating = line_of(step.call, ctx), line_of(backward.call, ctx)
    if stepping is None or differentiating is None:
        return None
    text = f"{name}.zero_grad()"
    together = step.arms == backward.arms and step.via is backward.via is None
    edit = added_above(differentiating, text, ctx) if together else added_below(stepping, text, ctx)
    return ctx.fix(Safety.UNSAFE, edit)
