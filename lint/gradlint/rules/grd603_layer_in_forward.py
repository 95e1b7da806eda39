"""A layer with weights that is made in `forward`, anew in every call.

## What it does
Reports layers with parameters that `forward`, or a method it calls, makes and applies: `nn.Linear(8, 8)(x)`, through a
variable, or set on `self` without a condition. Silent for layers without parameters, for those made once under an
`if`, where the weights are read or written after and in files that hold tests.

## Why is this bad
Each call starts from new random weights, so one input gives two outputs; no optimizer sees them, so nothing is ever
learned; `state_dict()` holds none of them. After 100 steps of training such a layer has made 100 sets of weights and
trained 0.

## Example
```python
class Net(nn.Module):
    def forward(self, x):
        return nn.Linear(8, 8)(x)
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(x)
```

## Fix safety
There is no fix: where the sizes come from the input, the constructor has to be given them, or a lazy layer is the
answer.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
- https://docs.pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html
- https://github.com/graykode/nlp-tutorial/issues/29
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.semantics.code_of_tests import holds_tests
from gradlint.semantics.forward_methods import running
from gradlint.semantics.held_modules import HeldModules
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOVING = words("to cuda cpu double half float train eval requires_grad_ type_as")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what runs in every module class of the file."""
    if holds_tests(ctx.tree):
        return
    held = HeldModules(ctx.tree, ctx.names, ctx.classes)
    for owner in ctx.classes.modules:
        for method in running(owner, ctx.classes, ctx.names):
            for call in ctx.tree.below(method.body, cst.Call):
                if held.has_parameters(call) and _is_made(call) and _is_applied(call, method, ctx):
                    _report(call, method, ctx)


def _report(call: cst.Call, method: cst.FunctionDef, ctx: Context) -> None:
    ctx.report(
        call,
        f"`{ctx.code(call.func)}` is made in `{method.name.value}`: every call starts from new weights, which are not "
        "in parameters(), so they are neither trained nor saved; make it in `__init__`",
    )


def _is_made(call: cst.Call) -> bool:
    """Whether a call makes the layer, and is no method of it such as `.to(device)`."""
    return not isinstance(call.func, cst.Attribute) or call.func.attr.value not in _MOVING


def _is_applied(made: cst.Call, method: cst.FunctionDef, ctx: Context) -> bool:
    """Whether a new layer is called, and nothing else is done with it."""
    layer, above = _moved(made, ctx)
    if isinstance(above, cst.Call):
        return above.func is layer
    assign = ctx.tree.parent(above) if isinstance(above, cst.AssignTarget) else above
    if not isinstance(assign, cst.Assign) or assign.value is not layer or len(assign.targets) != 1:
        return False
    target = assign.targets[0].target
    if isinstance(target, cst.Name):
        return _is_only_called(_uses(target, method, ctx), ctx)
    name = ctx.names.self_attribute(target)
    if name is None or _is_conditional(assign, method, ctx):
        return False
    uses = [
        node
        for node in ctx.tree.below(method.body, cst.Attribute)
        if ctx.names.self_attribute(node) == name and node is not target
    ]
    return _is_only_called(uses, ctx)


def _moved(made: cst.Call, ctx: Context) -> tuple[cst.CSTNode, cst.CSTNode | None]:
    """`nn.Linear(3, 3).to(x.device)` of `nn.Linear(3, 3)`, and what stands around it."""
    layer: cst.CSTNode = made
    while True:
        method = ctx.tree.parent(layer)
        call = ctx.tree.parent(method) if isinstance(method, cst.Attribute) and method.attr.value in _MOVING else None
        if not isinstance(call, cst.Call) or call.func is not method:
            return layer, method
        layer = call


def _uses(target: cst.Name, method: cst.FunctionDef, ctx: Context) -> list[cst.CSTNode]:
    scope = ctx.names.reference(target).scope
    return [
        node
        for node in ctx.tree.below(method.body, cst.Name)
        if node.value == target.value and not _is_target(node, ctx) and ctx.names.reference(node).scope is scope
    ]


def _is_target(node: cst.CSTNode, ctx: Context) -> bool:
    return isinstance(ctx.tree.parent(node), cst.AssignTarget)


def _is_only_called(uses: Sequence[cst.CSTNode], ctx: Context) -> bool:
    parents = [ctx.tree.parent(use) for use in uses]
    called = [isinstance(above, cst.Call) and above.func is use for use, above in zip(uses, parents, strict=True)]
    return bool(called) and all(called)


def _is_conditional(node: cst.CSTNode, method: cst.FunctionDef, ctx: Context) -> bool:
    for above in ctx.tree.ancestors(node):
        if above is method:
            return False
        if isinstance(above, (cst.If, cst.Try, cst.FunctionDef)):
            return True
    return True
