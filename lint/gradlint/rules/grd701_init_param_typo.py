"""An init function fills the tensors of a name that does not exist, instead of its parameter's.

## What it does
Reports a name in an initialisation function (`def`, method, nested function or lambda) that no scope defines and
whose tensors the function initialises: with `torch.nn.init` under any alias, or in place (`n.weight.data.normal_()`).

## Why is this bad
`net.apply(init)` calls the function with each module. A misspelt name raises NameError only when a module of the
tested type comes by; with a test that never matches, no layer is ever initialised and nothing is said.

## Example
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(n.weight)
```

## Use instead
```python
def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
```

## Fix safety
Safe when the function has a single parameter (besides `self`): the name raises NameError as it stands, and nothing
else can be meant. With several parameters the first is taken and the fix is unsafe.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.apply
- https://docs.pytorch.org/docs/stable/nn.init.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.names import Standing
from gradlint.rule import Context, checks
from gradlint.semantics.init_fill import fills

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitFunction


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every init function of the file; a nested one is looked at once, as itself."""
    seen: set[cst.CSTNode] = set()
    for function in reversed(ctx.inits.functions):
        misspelt = {
            fill.root.value for fill in fills(function, ctx.tree, ctx.names) if _is_undefined(fill.root, ctx)
        } | {call.root.value for call in function.calls if call.root is not None and _is_undefined(call.root, ctx)}
        for node in ctx.tree.below(function.node.body, cst.Name) if misspelt else ():
            if node.value in misspelt and node not in seen and _is_use(node, ctx):
                seen.add(node)
                _report(node, function, ctx)


def _is_undefined(name: cst.Name, ctx: Context) -> bool:
    return ctx.names.reference(name).standing is Standing.UNDEFINED


def _is_use(name: cst.Name, ctx: Context) -> bool:
    above = ctx.tree.parent(name)
    is_label = isinstance(above, cst.Attribute) and above.attr is name
    is_keyword = isinstance(above, cst.Arg) and above.keyword is name
    return not is_label and not is_keyword and _is_undefined(name, ctx)


def _report(name: cst.Name, function: InitFunction, ctx: Context) -> None:
    called = f"`{function.node.name.value}`" if isinstance(function.node, cst.FunctionDef) else "this lambda"
    meant = function.parameter
    hint = f"; its parameter is `{meant.name.value}`" if meant is not None else ""
    ctx.report(
        name,
        f"`{name.value}` is defined nowhere, so {called} raises NameError instead of initialising{hint}",
        fix=_fix(name, function, ctx),
        related=[(meant.name, "the parameter that stands for the module")] if meant is not None else [],
    )


def _fix(name: cst.Name, function: InitFunction, ctx: Context) -> Fix | None:
    meant = function.parameter
    if meant is None:
        return None
    parameters = function.node.params
    everyone = [*parameters.posonly_params, *parameters.params, *parameters.kwonly_params]
    after = everyone[everyone.index(meant) + 1 :]
    only = not after and not isinstance(parameters.star_arg, cst.Param) and parameters.star_kwarg is None
    return ctx.fix(Safety.SAFE if only else Safety.UNSAFE, ctx.replace(name, meant.name.value))
