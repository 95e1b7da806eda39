"""A value assigned to the name of an in-place method: `w.data.copy_ = v`.

## What it does
Reports assignments to an attribute that is the name of a tensor's in-place method, such as `copy_`, `fill_`, `zero_`
or `normal_`. Silent on `self`, on classes and modules (patching them), and where the file defines such an attribute.

## Why is this bad
The assignment puts an attribute on the tensor object and leaves its numbers as they were: after `w.data.copy_ = v`,
`w` still has its old value, and as `.data` is a new object each time, even the attribute is gone.

## Example
```python
w = torch.zeros(3)
w.data.copy_ = torch.ones(3)
```

## Use instead
```python
w = torch.zeros(3)
w.data.copy_(torch.ones(3))
```

## Fix safety
Safe: the assignment has no effect as it stands.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.copy_.html
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.words import words

_METHODS = words(
    "abs_ add_ addcmul_ addmm_ clamp_ clamp_min_ clamp_max_ copy_ detach_ div_ exp_ fill_ fill_diagonal_ index_add_"
    " index_copy_ index_fill_ lerp_ masked_fill_ mul_ neg_ normal_ pow_ random_ requires_grad_ scatter_ scatter_add_"
    " set_ sub_ uniform_ bernoulli_ zero_"
)


@checks(cst.Assign)
def check(assign: cst.Assign, ctx: Context) -> None:
    """Look at assignments with one target."""
    place = assign.targets[0].target
    if len(assign.targets) != 1 or not isinstance(place, cst.Attribute) or place.attr.value not in _METHODS:
        return
    if _is_patched(place.value, ctx) or isinstance(assign.value, (cst.Lambda, cst.Tuple)):
        return
    method = ctx.code(place)
    ctx.report(
        place,
        f"`{method} = ...` assigns to the method and changes 0 numbers of the tensor; call it: `{method}(...)`",
        fix=ctx.fix(Safety.SAFE, ctx.replace(assign, f"{method}({ctx.code(assign.value)})")),
    )


def _is_patched(receiver: cst.BaseExpression, ctx: Context) -> bool:
    """Whether the receiver is an instance of the file's own, a class, a module, or what is known of it is unclear."""
    if ctx.names.self_class(receiver) is not None or ctx.names.full_name(receiver) is not None:
        return True
    bindings = ctx.names.reference(receiver).bindings if isinstance(receiver, cst.Name) else ()
    kinds = (BindingKind.IMPORT, BindingKind.CLASS, BindingKind.FUNCTION)
    return any(binding.kind in kinds for binding in bindings)
