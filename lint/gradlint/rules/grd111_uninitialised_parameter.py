"""A parameter is made of uninitialised memory and never filled.

## What it does
Reports `nn.Parameter(torch.empty(...))` (also `torch.Tensor(2, 3)`, `empty_like` and the like) that nothing in the file
fills: it is not handed to anything in `__init__`, no other method or class writes to it, and no loop goes over
`parameters()`. Classes with a base that is not known, frozen parameters and integer ones are left alone.

## Why is this bad
`torch.empty` returns whatever the memory held: zeros in one run, 1e30 or NaN in the next. In torch 2.13 with
`torch.utils.deterministic.fill_uninitialized_memory`, which fills such memory with NaN, a layer with this parameter
gives NaN only.

## Example
```python
class Scale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(dim))

    def forward(self, x):
        return x * self.gamma
```

## Use instead
```python
class Scale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(dim))
        nn.init.ones_(self.gamma)

    def forward(self, x):
        return x * self.gamma
```

## Fix safety
There is no fix: what the parameter should start from is a choice.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.empty.html
- https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import integer
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument
from gradlint.semantics.module_class import Attribute, AttributeKind, ModuleClass

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZED = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.DoubleTensor", "torch.cuda.FloatTensor"})
_EMPTY = frozenset({"torch.empty", "torch.empty_like"})
_FILLING_METHOD = re.compile(r"init|reset|load|build|setup|post|tie|create")
_ELSEWHERE = re.compile(r"load_state_dict|\._parameters\b|parametriz|deepspeed|quantiz", re.IGNORECASE)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every parameter of every module class."""
    unfilled = list(_unfilled(ctx))
    if unfilled and not _visits_all(ctx):
        for found in unfilled:
            _report(found, ctx)


def _unfilled(ctx: Context) -> Iterator[Attribute]:
    for owner in ctx.classes.modules:
        if owner.dynamic or not _is_known(owner, ctx):
            continue
        for name in owner.attributes:
            found = owner.attribute(name)
            if found is not None and found.kind is AttributeKind.PARAMETER and _is_unfilled(found, ctx):
                yield found


def _visits_all(ctx: Context) -> bool:
    """Whether parameters are visited without being named, or come from a checkpoint."""
    loops = [*(loop.iter for loop in ctx.tree.nodes(cst.For)), *(loop.iter for loop in ctx.tree.nodes(cst.CompFor))]
    walked = {node.value for loop in loops for node in ctx.tree.below(loop, cst.Name)}
    return not walked.isdisjoint({"parameters", "named_parameters"}) or bool(_ELSEWHERE.search(ctx.source.text))


def _is_known(owner: ModuleClass, ctx: Context) -> bool:
    """Whether all bases are torch's or this file's: another may fill what it finds."""
    bases = {base for one in ctx.classes.lineage(owner) for base in one.bases}
    return all(base == "torch.nn.Module" or ctx.classes.named(base) is not None for base in bases)


def _is_empty(found: Attribute, ctx: Context) -> bool:
    made = found.value
    if not isinstance(made, cst.Call) or len(made.args) > 1 or not made.args or made.args[0].star:
        return False  # a second argument: requires_grad
    data = made.args[0].value
    if not isinstance(data, cst.Call):
        return False
    name = ctx.names.full_name(data.func)
    if name in _SIZED:
        sizes = [given.value for given in data.args if not given.star]
        return len(sizes) > 1 or (len(sizes) == 1 and integer(sizes[0], ctx.names) is not None)
    kind = argument(data, -1, "dtype")
    trained = kind is None or ctx.names.full_name(kind) in ("torch.float32", "torch.float", "torch.bfloat16")
    return name in _EMPTY and trained and argument(data, -1, "out") is None


def _is_unfilled(found: Attribute, ctx: Context) -> bool:
    if not _is_empty(found, ctx):
        return False
    mentions = [text for text in ctx.tree.nodes(cst.SimpleString) if text.evaluated_value == found.name]
    uses = [node for node in ctx.tree.nodes(cst.Attribute) if node.attr.value == found.name and node is not found.node]
    registered = isinstance(found.node, cst.Call)  # by its name
    return len(mentions) <= registered and all(_only_reads(use, ctx) for use in uses)


def _only_reads(use: cst.Attribute, ctx: Context) -> bool:
    """Whether a use of `self.w` stands in `forward` or the like and reads it."""
    method = ctx.tree.enclosing(use, cst.FunctionDef)
    if method is None or ctx.names.self_attribute(use) is None or _FILLING_METHOD.search(method.name.value):
        return False
    above = ctx.tree.parent(use)
    if isinstance(above, cst.Attribute):
        return above.attr.value != "data" and not above.attr.value.endswith("_")
    call = ctx.tree.parent(above) if isinstance(above, cst.Arg) else None
    if isinstance(ctx.tree.parent(call) if call is not None else None, cst.Expr):
        return False  # `glorot(self.w)`: a call for what it does, not for what it gives
    if isinstance(above, cst.Subscript):
        return not isinstance(ctx.tree.parent(above), (cst.AssignTarget, cst.AugAssign))
    return not isinstance(above, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign, cst.Del))


def _report(found: Attribute, ctx: Context) -> None:
    ctx.report(
        found.node,
        f"`{found.name}` is made of uninitialised memory and nothing fills it: its values are whatever the memory held,"
        " NaN and 1e30 included; initialise it after this line, or in `reset_parameters`",
    )
