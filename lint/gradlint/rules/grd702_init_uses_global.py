"""An init function fills the tensors of a module-level object, instead of those of its parameter.

## What it does
Reports a name of the module level whose tensors an initialisation function (`def`, method, nested function or
lambda) fills, with `torch.nn.init` under any alias or in place, where the function's own parameter is meant: it tests
the parameter's type and then fills the other, or it is applied, or takes an `m`, and never fills the parameter.

## Why is this bad
`net.apply(init)` calls the function with each module, and each time the same global tensor is filled anew: a net of
three linear layers has one initialised and two left at the default, without any message. Because the name exists,
checkers of undefined names are blind to it; in a notebook one cell is enough to define it.

## Example
```python
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))

def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.xavier_uniform_(net[0].weight)

net.apply(init_weights)
```

## Use instead
```python
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))

def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.xavier_uniform_(m.weight)

net.apply(init_weights)
```

## Fix safety
Unsafe: other tensors are filled than before.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.apply
- https://github.com/d2l-ai/d2l-en/issues/1079
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import Binding, BindingKind
from gradlint.semantics.init_fill import Fill, fills
from gradlint.walk import walk
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.semantics.init_function import InitFunction

_STANDS_FOR_A_MODULE = words("m mod module modul layer l net model block child sub submodule mm")
_OTHERS = (BindingKind.IMPORT, BindingKind.CLASS, BindingKind.FUNCTION, BindingKind.EXCEPT)
_VALUES = (BindingKind.ASSIGNMENT, BindingKind.UNPACKING, BindingKind.LOOP, BindingKind.WITH)


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what every init function with a parameter fills."""
    for function in ctx.inits.functions:
        if function.parameter is None:
            continue
        name = function.parameter.name.value
        filled = list(fills(function, ctx.tree, ctx.names))
        own = any(fill.root.value == name for fill in filled)
        for place in dict.fromkeys(fill.root for fill in filled if fill.root.value != name):
            one = next(fill for fill in filled if fill.root is place)
            tested = _tests(one, name, function, ctx)
            bound = _global(place, function, _VALUES + _OTHERS if tested else _VALUES, ctx)
            if bound is not None and (tested or (not own and _is_for_modules(function))):
                _report(one, bound, function, name, ctx)


def _global(root: cst.Name, function: InitFunction, kinds: tuple[BindingKind, ...], ctx: Context) -> Binding | None:
    """The module-level binding of a name, if it is of these kinds, unless the function declares it `global`."""
    reference = ctx.names.reference(root)
    declared = root.value in ctx.scopes.inside(function.node).globals
    values = all(binding.kind in kinds for binding in reference.bindings)
    return reference.bindings[0] if reference.is_module_level and values and not declared else None


def _is_for_modules(function: InitFunction) -> bool:
    name = function.parameter.name.value if function.parameter is not None else ""
    return bool(function.applied) or name.lower() in _STANDS_FOR_A_MODULE


def _tests(fill: Fill, parameter: str, function: InitFunction, ctx: Context) -> bool:
    """Whether an `if` around the call asks about the parameter, or about a name made from it."""
    asked = {parameter}
    for node in ctx.tree.below(function.node.body, cst.Assign):
        if _mentions(node.value, {parameter}):
            asked |= {target.target.value for target in node.targets if isinstance(target.target, cst.Name)}
    for above in ctx.tree.ancestors(fill.node):
        if above is function.node:
            break
        if isinstance(above, (cst.If, cst.IfExp)) and _mentions(above.test, asked):
            return True
    return False


def _mentions(expression: cst.CSTNode, names: set[str]) -> bool:
    return any(isinstance(node, cst.Name) and node.value in names for node in walk(expression))


def _report(fill: Fill, bound: Binding, function: InitFunction, parameter: str, ctx: Context) -> None:
    called = f"`{function.node.name.value}`" if isinstance(function.node, cst.FunctionDef) else "this lambda"
    ctx.report(
        fill.root,
        f"{called} fills the module-level `{fill.root.value}`, the same one at every call, and not its parameter "
        f"`{parameter}`: every other module keeps its default initialisation; use `{parameter}`",
        fix=ctx.fix(Safety.UNSAFE, ctx.replace(fill.owner, parameter)),
        related=[(bound.node, f"where `{fill.root.value}` is bound")],
    )
