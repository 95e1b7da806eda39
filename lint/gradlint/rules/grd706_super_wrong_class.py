"""`super(Other, self)` in a class that is not `Other`.

## What it does
Reports `super(Other, self)` in an `nn.Module` where `Other` is a class this one does not inherit from. Where `Other`
is a base, which skips its own `__init__` on purpose or by mistake, it is an info.

## Why is this bad
It is the trace of a copied class: Python raises TypeError (not "an instance or subtype of type") as soon as
the class is made. Where `Other` is a base, that base's own initialisation never runs and its layers do not exist.

## Example
```python
class Old(nn.Module):
    def __init__(self):
        super().__init__()

class New(nn.Module):
    def __init__(self):
        super(Old, self).__init__()
```

## Use instead
```python
class Old(nn.Module):
    def __init__(self):
        super().__init__()

class New(nn.Module):
    def __init__(self):
        super().__init__()
```

## Fix safety
Safe where the class does not inherit from the other one: the call always raises. There is no fix where it does.

## References
- https://docs.python.org/3/library/functions.html#super
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Level, Safety
from gradlint.rule import Context, checks

#: What every module inherits from.
ROOT = "torch.nn.Module"


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every `super` with two arguments."""
    if len(call.args) != 2 or ctx.names.full_name(call.func) != "builtins.super":
        return
    named, instance = call.args[0].value, call.args[1].value
    owner_node = ctx.names.self_class(instance)
    other = ctx.names.full_name(named)
    if owner_node is None or other is None:
        return
    owner = ctx.classes.of(owner_node)
    lineage = ctx.classes.lineage(owner)
    if owner.is_module is not True or other == owner.name or ctx.classes.is_module(other) is None:
        return
    related = [(owner.node, "the class it stands in")]
    bases = {base for one in lineage for base in one.bases if base is not None}
    if other in bases or other == ROOT:
        message = f"super({ctx.code(named)}, ...) skips what the base `{ctx.code(named)}` defines"
        ctx.report(call, message, level=Level.INFO, related=related)
    elif _bases_known(owner.bases, ctx) and not (_below_root(bases) and other.startswith("torch.")):
        ctx.report(
            call,
            f"`{owner.node.name.value}` does not inherit from `{ctx.code(named)}`: super({ctx.code(named)}, ...) "
            "raises TypeError; use super()",
            fix=ctx.fix(Safety.SAFE, ctx.replace(call, "super()")),
            related=related,
        )


def _below_root(bases: set[str]) -> bool:
    """Whether a base is one of torch's own modules, which may inherit from others of torch's."""
    return any(base.startswith("torch.") and base != ROOT for base in bases)


def _bases_known(bases: tuple[str | None, ...], ctx: Context) -> bool:
    """Whether all ancestors are in this file or torch's, so that `Other` is surely none of them."""
    for base in bases:
        owner = ctx.classes.named(base)
        if base is None or (owner is None and not base.startswith(("torch.", "builtins.", "typing.", "abc."))):
            return False
        if owner is not None and not _bases_known(owner.bases, ctx):
            return False
    return True
