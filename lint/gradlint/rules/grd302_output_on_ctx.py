"""An output of `forward` kept as an attribute of the context.

## What it does
Reports `ctx.y = y` in `forward` where the same `y` is returned, and `ctx.y = output` in `setup_context`, also within a
tuple or list. Copies, detached tensors, inputs that are returned as they are and outputs that are marked as not
differentiable make no cycle and are left alone, as are attributes that `backward` empties itself.

## Why is this bad
The output holds its `grad_fn`, the `grad_fn` is the context, and the context holds the output: a cycle that counting
references never frees. In torch 2.13 the output, and every tensor that its graph saved, lives on after the last
reference is gone, whether `backward` ran or not, until Python's garbage collector happens to run; two outputs of one
call are never freed at all. GPU memory grows with each step. `save_for_backward` keeps outputs without a cycle.

## Example
```python
class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.y = y
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.y
```

## Use instead
```python
class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]
```

## Fix safety
Unsafe: code elsewhere may read the attribute. Offered where the class saves nothing else.

## References
- https://docs.pytorch.org/docs/stable/notes/extending.html
- https://github.com/pytorch/pytorch/issues/25340
- https://github.com/pyro-ppl/pyro/pull/1049
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Fix, Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.autograd_function import parameters_of
from gradlint.semantics.tensor_evidence import TensorEvidence

if TYPE_CHECKING:
    from gradlint.semantics.autograd_function import FunctionClass


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at what each Function puts on its context before `backward`."""
    for function in ctx.functions.all:
        saving = function.saving
        if saving is None or saving not in function.node.body.body:
            continue
        for use in function.context_uses(saving):
            target = ctx.tree.parent(use)
            assign = ctx.tree.enclosing(use, cst.Assign)
            is_target = assign is not None and any(target is each.target for each in assign.targets)
            if not is_target or assign is None or not isinstance(target, cst.Attribute):
                continue
            outputs = [value for value in _values(assign.value) if _is_output(value, function, ctx)]
            if outputs and not _is_emptied(function, target.attr.value, ctx):
                _report(function, target, assign, outputs, ctx)


def _is_emptied(function: FunctionClass, attribute: str, ctx: Context) -> bool:
    """Whether `backward` opens the cycle itself: `ctx.outputs.pop()`, `del ctx.y`, `ctx.y = None`."""
    uses = function.attribute_uses(function.backward, attribute) if function.backward is not None else []
    return any(_empties(use, ctx) for use in uses)


def _empties(use: cst.Attribute, ctx: Context) -> bool:
    above = ctx.tree.parent(use)
    if isinstance(above, cst.Attribute):
        return above.attr.value in ("pop", "clear")
    if isinstance(above, cst.AssignTarget):
        assign = ctx.tree.parent(above)
        value = assign.value if isinstance(assign, cst.Assign) else None
        return isinstance(value, cst.Name) and value.value == "None"
    several = ctx.tree.parent(above) if isinstance(above, cst.Element) else None
    return isinstance(above, cst.Del) or isinstance(ctx.tree.parent(several) if several else None, cst.Del)


def _values(value: cst.BaseExpression) -> list[cst.Name]:
    if isinstance(value, (cst.Tuple, cst.List)):
        return [element.value for element in value.elements if isinstance(element.value, cst.Name)]
    return [value] if isinstance(value, cst.Name) else []


def _is_output(name: cst.Name, function: FunctionClass, ctx: Context) -> bool:
    """Whether a name in the saving method is surely a differentiable output."""
    saving = function.saving
    assert saving is not None
    if _is_marked(name.value, function, ctx):
        return False
    if function.setup_context is not None:
        return _is_given_output(name, function, ctx)
    for returned in function.returns(saving):
        for value in _values(returned.value) if returned.value is not None else ():
            alone = value is returned.value
            if value.value == name.value and _is_same(name, value, ctx):
                return alone or TensorEvidence(ctx.names).is_tensor(name)
    return False


def _is_given_output(name: cst.Name, function: FunctionClass, ctx: Context) -> bool:
    """Whether a name is the third parameter of `setup_context`, or a tensor unpacked from it."""
    assert function.setup_context is not None
    parameters = parameters_of(function.setup_context)
    binding = ctx.names.reference(name).binding
    if len(parameters) < 3 or binding is None:
        return False
    if binding.kind is not BindingKind.UNPACKING:
        return binding.node is parameters[2]
    unpacking = ctx.tree.enclosing(binding.node, cst.Assign)
    source = unpacking.value if unpacking is not None else None
    if unpacking is None or not isinstance(source, cst.Name) or source.value != parameters[2].name.value:
        return False
    target = unpacking.targets[0].target
    elements = target.elements if isinstance(target, (cst.Tuple, cst.List)) else ()
    index = next((index for index, element in enumerate(elements) if element.value is binding.node), None)
    returns = function.returns(function.forward) if function.forward is not None else []
    return index is not None and bool(returns) and all(_is_tensor_at(index, each.value, ctx) for each in returns)


def _is_tensor_at(index: int, returned: cst.BaseExpression | None, ctx: Context) -> bool:
    elements = returned.elements if isinstance(returned, cst.Tuple) else ()
    return index < len(elements) and TensorEvidence(ctx.names).is_tensor(elements[index].value)


def _is_same(name: cst.Name, returned: cst.Name, ctx: Context) -> bool:
    """Whether both uses mean one value that `forward` made."""
    binding = ctx.names.reference(name).binding
    if binding is not None:
        return binding.kind is BindingKind.ASSIGNMENT and not _is_alias(binding.value)
    made = ctx.names.value_at(name)
    return made is not None and made is ctx.names.value_at(returned) and not _is_alias(made)


def _is_alias(value: cst.BaseExpression | None) -> bool:
    """Whether a value is only another name, perhaps that of an input, which torch returns as a new tensor."""
    return isinstance(value, cst.Name) or value is None


def _is_marked(name: str, function: FunctionClass, ctx: Context) -> bool:
    """Whether the output is said to have no gradient."""
    assert function.saving is not None
    for attribute in function.attribute_uses(function.saving, "mark_non_differentiable"):
        call = ctx.tree.parent(attribute)
        given = call.args if isinstance(call, cst.Call) else ()
        if any(isinstance(each.value, cst.Name) and each.value.value == name for each in given):
            return True
    return False


def _report(
    function: FunctionClass, target: cst.Attribute, assign: cst.Assign, outputs: list[cst.Name], ctx: Context
) -> None:
    kept = "until Python's garbage collector runs" if len(outputs) == 1 else "for ever"
    named = " and ".join(f"`{name.value}`" for name in outputs)
    ctx.report(
        assign,
        f"`{ctx.code(target)}` holds the output {named}, whose grad_fn holds the context: a cycle that keeps it alive "
        f"{kept}, with and without backward; save it with `save_for_backward`",
        fix=_fix(function, target, assign, ctx) if assign.value is outputs[0] else None,
    )


def _fix(function: FunctionClass, target: cst.Attribute, assign: cst.Assign, ctx: Context) -> Fix | None:
    attribute = target.attr.value
    everywhere = [
        use
        for method in function.methods.values()
        for use in function.attribute_uses(method, attribute)
        if use is not target
    ]
    reading = function.attribute_uses(function.backward, attribute) if function.backward is not None else []
    if function.saves or function.saves is None or len(everywhere) != len(reading) or len(assign.targets) > 1:
        return None
    if any(isinstance(ctx.tree.parent(use), (cst.AssignTarget, cst.AugAssign, cst.Element)) for use in reading):
        return None  # saved tensors are not written
    saved = f"{ctx.code(target.value)}.save_for_backward({ctx.code(assign.value)})"
    edits: list[Edit | None] = [ctx.replace(assign, saved)]
    edits += [ctx.replace(use, f"{ctx.code(use.value)}.saved_tensors[0]") for use in reading]
    return ctx.fix(Safety.UNSAFE, *edits)
