"""A method of the training loop that is named but not called: `optimizer.zero_grad` as a statement.

## What it does
Reports statements that are only the name of a method without arguments that training lives on: `zero_grad`,
`backward`, `step`, `eval`, `train`, `detach_`, `zero_`, `requires_grad_`, and `torch.cuda.empty_cache` and
`torch.cuda.synchronize`.

## Why is this bad
Python evaluates the name and throws the method away. Without `zero_grad()` the gradients of all steps add up, without
`step()` nothing is learnt, without `eval()` dropout stays active: after three backward passes of one loss, `.grad`
is 3 times as large as it should be, and no message says so.

## Example
```python
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
optimizer.zero_grad
```

## Use instead
```python
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
optimizer.zero_grad()
```

## Fix safety
Safe: the statement has no effect as it stands, and the call can be all that is meant. Unsafe for `step` where the
receiver is not known to be an optimizer, because some schedulers and environments need an argument.

## References
- https://docs.pytorch.org/docs/stable/optim.html#taking-an-optimization-step
"""

from __future__ import annotations

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind

_EFFECT = {
    "zero_grad": "the gradients of every step add up",
    "backward": "no gradient is computed",
    "step": "nothing is updated",
    "eval": "dropout and batch normalisation stay in training mode",
    "train": "dropout and batch normalisation stay as they are",
    "detach_": "the tensor stays in its graph",
    "zero_": "the tensor keeps its values",
    "requires_grad_": "the tensor is not tracked",
}
_FUNCTIONS = {
    "torch.cuda.empty_cache": "no memory is given back",
    "torch.cuda.synchronize": "nothing is waited for",
}


@checks(cst.Expr)
def check(statement: cst.Expr, ctx: Context) -> None:
    """Look at statements that are an attribute and nothing else."""
    named = statement.value
    if not isinstance(named, cst.Attribute) or _is_asked_for(statement, ctx):
        return
    effect = _FUNCTIONS.get(ctx.names.full_name(named) or "") or _effect_of_method(named, ctx)
    if effect is not None:
        safe = named.attr.value != "step" or _is_optimizer(named.value, ctx)
        ctx.report(
            named,
            f"`{ctx.code(named)}` names the method without calling it: {effect}; write `{ctx.code(named)}()`",
            fix=ctx.fix(Safety.SAFE if safe else Safety.UNSAFE, ctx.insert_after(named, "()")),
        )


def _effect_of_method(named: cst.Attribute, ctx: Context) -> str | None:
    """What does not happen; None for other attributes, properties of the file's own, and what a module offers."""
    effect = _EFFECT.get(named.attr.value)
    own = any(
        named.attr.value in one.methods and _is_property(one.methods[named.attr.value], ctx) for one in ctx.classes.all
    )
    root: cst.BaseExpression = named.value
    while isinstance(root, (cst.Attribute, cst.Subscript)):
        root = root.value
    imported = isinstance(root, cst.Name) and any(
        binding.kind is BindingKind.IMPORT for binding in ctx.names.reference(root).bindings
    )
    return None if own or imported else effect


def _is_property(method: cst.FunctionDef, ctx: Context) -> bool:
    return any(
        (ctx.names.full_name(each.decorator) or "").rpartition(".")[2] in ("property", "cached_property")
        for each in method.decorators
    )


def _is_asked_for(statement: cst.Expr, ctx: Context) -> bool:
    """Whether the name is looked up to see if it exists or raises: in `try` or `with pytest.raises(...)`."""
    for above in ctx.tree.ancestors(statement):
        if isinstance(above, (cst.FunctionDef, cst.ClassDef)):
            return False
        if isinstance(above, (cst.Try, cst.TryStar)):
            body = [each.type for each in above.handlers]
            if any("AttributeError" in ctx.code(kind) for kind in body if kind is not None):
                return True
        if isinstance(above, cst.With) and any("aises" in ctx.code(item.item) for item in above.items):
            return True
    return False


def _is_optimizer(receiver: cst.BaseExpression, ctx: Context) -> bool:
    last = receiver.attr.value if isinstance(receiver, cst.Attribute) else getattr(receiver, "value", "")
    binding = ctx.names.reference(receiver).binding if isinstance(receiver, cst.Name) else None
    made = ctx.classes.constructed(binding.value) if binding is not None else None
    constructed = made is not None and made.startswith("torch.optim.") and "lr_scheduler" not in made
    return constructed or "optim" in str(last).lower()
