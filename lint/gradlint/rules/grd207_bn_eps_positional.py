"""A second positional argument of BatchNorm that cannot be meant as eps.

## What it does
Reports `nn.BatchNorm1d/2d/3d`, `SyncBatchNorm` and `InstanceNorm` whose second positional argument (the first of a
lazy one) is a number above 5e-3, a bool, or the number of features once more: it is `eps`, not `momentum`.

## Why is this bad
`eps` is added to the variance, so an eps of 0.8 no longer normalises: inputs with a standard deviation of 0.1 come
out with 0.11 instead of 1, and inputs with a standard deviation of 1 with 0.75. An eps of 64 leaves 0.12 of those.
The momentum that was meant stays at its default.

## Example
```python
norm = nn.BatchNorm2d(128, 0.8)
```

## Use instead
```python
norm = nn.BatchNorm2d(128, momentum=0.2)
```

## Fix safety
Unsafe: the outputs change. 0.5 and above is taken for the momentum of Keras and becomes 1 minus it, what is below
for the momentum of torch; a bool becomes `affine`; the number of features once more is dropped.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
- https://github.com/eriklindernoren/PyTorch-GAN/issues/116
"""

from __future__ import annotations

import libcst as cst

from gradlint.constants import constant
from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.batch_norm import eps_index, is_running_norm

_LARGEST = 5e-3


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every constructor of a normalisation with running statistics."""
    name = ctx.names.full_name(call.func)
    if name is None or not is_running_norm(name):
        return
    index = eps_index(name)
    given = [one for one in call.args if one.keyword is None]
    starred = any(one.star for one in given)
    # Who also names the third, momentum, has counted: the second is meant.
    if len(given) != index + 1 or starred or any(one.keyword and one.keyword.value == "momentum" for one in call.args):
        return
    features = call.args[0].value if index else None
    value = constant(given[index].value, ctx.names)
    again = features is not None and ctx.code(features) == ctx.code(given[index].value)
    if again or isinstance(value, bool) or (isinstance(value, (int, float)) and value > _LARGEST):
        ctx.report(call, _message(index, given[index], value, ctx), fix=_fix(call, given[index], value, again, ctx))


def _message(index: int, given: cst.Arg, value: object, ctx: Context) -> str:
    place = "second" if index else "first"
    effect = "it is added to the variance"
    if isinstance(value, (int, float)) and value > 0:
        effect += f", and a layer whose inputs have a variance of 1 gives {(1 + float(value)) ** -0.5:.2f} instead of 1"
    return f"the {place} positional argument is eps, here {ctx.code(given.value)}: {effect}; name what is meant"


def _fix(call: cst.Call, given: cst.Arg, value: object, again: bool, ctx: Context) -> Fix | None:
    if isinstance(value, bool):
        return ctx.fix(Safety.UNSAFE, ctx.replace(given.value, f"affine={value}"))
    if again or not isinstance(value, float) or value >= 1:
        return ctx.fix(Safety.UNSAFE, ctx.drop_argument(call, given)) if again else None
    momentum = f"{round(1 - value if value >= 0.5 else value, 12):.12f}".rstrip("0")
    return ctx.fix(Safety.UNSAFE, ctx.replace(given.value, f"momentum={momentum}"))
