"""`ctx.saved_tensors` unpacked into another number than was saved, or used as a tensor.

## What it does
Compares how many names `backward` unpacks `ctx.saved_tensors` into, or which index it takes, with every
`save_for_backward` of the class: conditional saves may differ, starred ones are not counted. And reports the tuple
itself where it is used as if it were a tensor: in arithmetic with a gradient, by a method of tensors, in a torch
function. A name that is also indexed, iterated or measured is known to be a tuple and left alone.

## Why is this bad
`saved_tensors` is a tuple, also of one. Two names for one saved tensor are ValueError ("not enough values to unpack"),
a product with the tuple is TypeError, both at the first `backward()` and never in inference.

## Example
```python
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        x = ctx.saved_tensors
        return grad * 2 * x.clone()
```

## Use instead
```python
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x.clone()
```

## Fix safety
Safe: where exactly one tensor is saved, the tuple that is used as a tensor is unpacked. There is no fix for a wrong
number, which does not say what is missing.

## References
- https://docs.pytorch.org/docs/stable/notes/extending.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import integer
from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.autograd_function import parameters_of
from gradlint.semantics.tensor_evidence import TENSOR_METHODS, TensorEvidence

if TYPE_CHECKING:
    from gradlint.semantics.autograd_function import FunctionClass


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every use of the saved tensors in `backward`."""
    for function in ctx.functions.all:
        backward = function.backward
        if backward is None or backward not in function.node.body.body:
            continue
        for use in function.attribute_uses(backward, "saved_tensors"):
            _look(use, function, backward, ctx)


def _look(use: cst.Attribute, function: FunctionClass, backward: cst.FunctionDef, ctx: Context) -> None:
    above = ctx.tree.parent(use)
    if isinstance(above, cst.Assign) and len(above.targets) == 1:
        target = above.targets[0].target
        if isinstance(target, (cst.Tuple, cst.List)):
            _compare_count(use, target, function, ctx)
        elif isinstance(target, cst.Name):
            _look_at_variable(use, target, function, backward, ctx)
    elif isinstance(above, cst.Subscript) and above.value is use:
        _compare_index(use, above, function, ctx)
    elif _is_used_as_tensor(use, backward, ctx):
        one = function.saved_counts == frozenset({1})
        fix = ctx.fix(Safety.SAFE, ctx.insert_after(use, "[0]")) if one else None
        ctx.report(use, _words(ctx.code(use), function), fix=fix)


def _compare_count(use: cst.Attribute, target: cst.Tuple | cst.List, function: FunctionClass, ctx: Context) -> None:
    counts = function.saved_counts
    starred = any(isinstance(element, cst.StarredElement) for element in target.elements)
    if counts is not None and not starred and len(target.elements) not in counts:
        _report_count(use, f"is unpacked into {_named(len(target.elements))}", "ValueError", function, ctx)


def _compare_index(use: cst.Attribute, taken: cst.Subscript, function: FunctionClass, ctx: Context) -> None:
    only = taken.slice[0].slice if len(taken.slice) == 1 else None
    index = integer(only.value, ctx.names) if isinstance(only, cst.Index) else None
    counts = function.saved_counts
    if index is not None and counts is not None and not any(-count <= index < count for count in counts):
        _report_count(use, f"is read at index {index}", "IndexError", function, ctx)


def _report_count(use: cst.Attribute, how: str, error: str, function: FunctionClass, ctx: Context) -> None:
    counts = " or ".join(map(str, sorted(function.saved_counts or ())))
    related = [(save.call, "saved here") for save in function.saves or ()]
    ctx.report(
        use,
        f"`{ctx.code(use)}` {how}, but `{_saving_name(function)}` saves {counts}: backward() raises {error}",
        related=related,
    )


def _named(count: int) -> str:
    return f"{count} name{'' if count == 1 else 's'}"


def _saving_name(function: FunctionClass) -> str:
    return function.saving.name.value if function.saving is not None else "forward"


def _look_at_variable(
    use: cst.Attribute, target: cst.Name, function: FunctionClass, backward: cst.FunctionDef, ctx: Context
) -> None:
    if ctx.names.reference(target).binding is None:
        return
    reads = [
        node for node in ctx.tree.below(backward.body, cst.Name) if node.value == target.value and node is not target
    ]
    if not any(_is_used_as_tensor(read, backward, ctx) for read in reads) or any(
        _is_used_as_tuple(read, ctx) for read in reads
    ):
        return
    one = function.saved_counts == frozenset({1})
    fix = ctx.fix(Safety.SAFE, ctx.replace(target, f"({target.value},)")) if one else None
    ctx.report(use, _words(target.value, function), fix=fix)


def _words(shown: str, function: FunctionClass) -> str:
    counts = function.saved_counts
    held = f" of {next(iter(counts))}" if counts is not None and len(counts) == 1 else ""
    return f"`{shown}` is a tuple{held}, not a tensor: backward() raises; unpack it, `(x,) = ctx.saved_tensors`"


def _is_used_as_tensor(node: cst.BaseExpression, backward: cst.FunctionDef, ctx: Context) -> bool:
    above = ctx.tree.parent(node)
    if isinstance(above, cst.Attribute) and above.value is node:
        return above.attr.value.rstrip("_") in TENSOR_METHODS and above.attr.value not in ("index", "count")
    if isinstance(above, cst.BinaryOperation):
        gradients = frozenset(each.name.value for each in parameters_of(backward)[1:])
        other = above.right if above.left is node else above.left
        return TensorEvidence(ctx.names, gradients).is_tensor(other)
    if isinstance(above, cst.Arg) and above.star == "":
        call = ctx.tree.parent(above)
        return isinstance(call, cst.Call) and call.args[:1] == (above,) and _takes_tensor(call, ctx)
    return False


def _takes_tensor(call: cst.Call, ctx: Context) -> bool:
    """Whether the function of torch takes one tensor first, not several."""
    module, _, name = (ctx.names.full_name(call.func) or "").rpartition(".")
    several = ("cat", "stack", "vstack", "hstack", "tensor", "einsum", "block_diag", "meshgrid")
    return module == "torch" and name in TENSOR_METHODS and name not in several


def _is_used_as_tuple(node: cst.Name, ctx: Context) -> bool:
    above = ctx.tree.parent(node)
    if isinstance(above, (cst.Subscript, cst.Element, cst.StarredElement, cst.For, cst.CompFor, cst.AssignTarget)):
        return True
    if isinstance(above, cst.Assign):
        return True
    return isinstance(above, cst.Arg) and not _is_first_of_torch(above, ctx)


def _is_first_of_torch(given: cst.Arg, ctx: Context) -> bool:
    call = ctx.tree.parent(given)
    return isinstance(call, cst.Call) and _takes_tensor(call, ctx) and given.star == ""
