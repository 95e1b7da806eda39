"""A BatchNorm momentum near one, which in torch forgets everything but the last batch.

## What it does
Reports `momentum` above 0.9 and below 1 in `nn.BatchNorm1d/2d/3d`, `SyncBatchNorm`, `InstanceNorm` and their lazy
forms, in `functional.batch_norm`, and in `functools.partial` of them. 0.5 to 0.9 can be meant and stays, as does 1.
Silent where no running statistics are kept: `track_running_stats=False`, and InstanceNorm without `True` for it.

## Why is this bad
Keras and TensorFlow keep `momentum` of the old statistics, torch takes `momentum` of the *new* batch:
`running = (1 - momentum) * running + momentum * batch`. With 0.9997 the running mean is 99.97 % the last batch's, so
evaluation normalises by one arbitrary batch. The usual 0.99 of Keras is 0.01 in torch.

## Example
```python
norm = nn.BatchNorm2d(64, eps=1e-3, momentum=0.99)
```

## Use instead
```python
norm = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
```

## Fix safety
Unsafe: the running statistics are computed differently.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
- https://github.com/pytorch/vision/issues/8250
- https://github.com/ludwig-ai/ludwig/issues/2100
"""

from __future__ import annotations

import libcst as cst

from gradlint.constants import constant, number
from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.batch_norm import eps_index, is_running_norm, keeps_by_itself
from gradlint.semantics.layer_values import argument

_MEANT = 0.9


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every call that makes or is a normalisation with running statistics."""
    given = _momentum(call, ctx)
    value = number(given, ctx.names)
    if given is None or value is None or not _MEANT < value < 1:
        return
    torch_value = _shown(1 - value)
    ctx.report(
        call,
        f"momentum {value:g} is the weight of the new batch in torch: the running statistics are {100 * value:g} % "
        f"those of the last batch; what Keras calls {value:g} is momentum={torch_value}",
        fix=_fix(given, torch_value, ctx),
    )


def _momentum(call: cst.Call, ctx: Context) -> cst.BaseExpression | None:
    """What a norm that keeps running statistics for certain is given as momentum."""
    name = ctx.names.full_name(call.func)
    if name == "torch.nn.functional.batch_norm":
        mean = argument(call, 1, "running_mean")
        return argument(call, 6, "momentum") if constant(mean, ctx.names) is not None else None
    is_partial = name == "functools.partial" and bool(call.args)
    made = ctx.names.full_name(call.args[0].value) if is_partial else name
    if made is None or not is_running_norm(made):
        return None
    momentum, tracked = (-1, -1) if is_partial else (eps_index(made) + 1, eps_index(made) + 3)
    told = argument(call, tracked, "track_running_stats")
    keeps = keeps_by_itself(made) if told is None else constant(told, ctx.names) is True
    return argument(call, momentum, "momentum") if keeps else None


def _shown(value: float) -> str:
    return f"{round(value, 12):.12f}".rstrip("0")


def _fix(given: cst.BaseExpression, torch_value: str, ctx: Context) -> Fix | None:
    literal = isinstance(given, cst.Float)
    text = torch_value if literal else f"1 - {ctx.code(given)}" if isinstance(given, cst.Name) else None
    return ctx.fix(Safety.UNSAFE, ctx.replace(given, text)) if text is not None else None
