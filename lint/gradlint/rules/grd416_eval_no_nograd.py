"""An evaluation that records graphs which nobody differentiates.

## What it does
Reports functions and scripts that call `model.eval()` and then the model in a loop, outside of `torch.no_grad()` and
`torch.inference_mode()`. Silent where the function, one of its callers or an unknown decorator or context may say
otherwise, where anything in it may differentiate (attacks, penalties, attributions; in a script all that follows, up to
`model.train()`; in networks of atoms the forces), in files that hold tests, and where a framework is imported that
evaluates without gradients by itself.

Precision: no finding in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0, pytorch-lightning 2.6.6 and
d2l 1.0.3; 13 in 265 further packages of the index, 12 of them right (the other's network records nothing by itself).

## Why is this bad
`eval()` changes dropout and batch normalisation, not the recording of gradients. Every forward pass still keeps all its
activations for a `backward()` that never comes: a network of N layers holds N activations at once instead of one, so
evaluation needs as much memory as training and runs out of it at batch sizes that would fit.

## Example
```python
def evaluate(model, loader):
    model.eval()
    correct = 0
    for x, y in loader:
        correct += (model(x).argmax(1) == y).sum().item()
    return correct
```

## Use instead
```python
@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    correct = 0
    for x, y in loader:
        correct += (model(x).argmax(1) == y).sum().item()
    return correct
```

## Fix safety
Safe where all that the function returns is numbers, so that no caller can differentiate it; else unsafe. A script gets
no fix: its loop would have to be indented.

## References
- https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval
- https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.code_of_tests import holds_tests
from gradlint.semantics.evaluation import Evaluation, Evaluations
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.switched_off import switched_off
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.model import Fix
    from gradlint.scopes import Binding

_DERIVED = re.compile(r"(?:^|_)(?:forces|stress(?:es)?|virials?)$", re.IGNORECASE)
_COLLECTING = frozenset({"append", "extend", "add", "update", "put", "insert", "setdefault"})


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at every function and script that puts a network in evaluation mode."""
    if ctx.loops.has_framework or holds_tests(ctx.tree):
        return
    seen: set[cst.CSTNode] = set()
    evaluations = Evaluations(ctx.tree, ctx.names, ctx.calls)
    for each in evaluations.with_eval():
        place = each.function or each.loop
        if place in seen or (each.function is not None and each.function.asynchronous is not None):
            continue
        if ctx.mode.at(each.forward) is not Mode.ON or any(map(evaluations.may_differentiate, each.code)):
            continue
        if not _has_derived_outputs(ctx) and (each.function is not None or not _is_frozen(ctx)):
            seen.add(place)
            _report(each, ctx)


def _has_derived_outputs(ctx: Context) -> bool:
    """Whether the file speaks of forces or stresses: networks of atoms differentiate the energy to give them."""
    keywords = {id(given.keyword) for given in ctx.tree.nodes(cst.Arg)}  # `basicConfig(stress=...)` is no variable
    named = (node.value for node in ctx.tree.nodes(cst.Name) if id(node) not in keywords)
    keys = (each.value for each in ctx.tree.nodes(cst.Index))
    read = (str(key.evaluated_value) for key in keys if isinstance(key, cst.SimpleString))
    return any(map(_DERIVED.search, chain(named, read)))


def _is_frozen(ctx: Context) -> bool:
    """Whether a script switches gradients of parameters off: then nothing may be recorded without `no_grad`."""
    return any(_runs_in_script(switch, ctx) for switch in switched_off(ctx.tree, ctx.names))


def _runs_in_script(node: cst.CSTNode, ctx: Context) -> bool:
    """Whether a node stands at the top level of the file, or in a function that is called there."""
    around = ctx.tree.enclosing(node, cst.FunctionDef, cst.ClassDef)
    sites = ctx.calls.sites(around) if isinstance(around, cst.FunctionDef) else []
    return around is None or any(ctx.tree.enclosing(site, cst.FunctionDef) is None for site in sites)


def _report(each: Evaluation, ctx: Context) -> None:
    network = ctx.code(each.forward.func)
    if each.function is None:
        advice = "put the loop into `with torch.no_grad():`"
    else:
        advice = f"decorate `{each.function.name.value}` with `@torch.no_grad()`"
    ctx.report(
        each.forward,
        f"`{network}` is evaluated with gradients: every layer's activations are kept for a backward() that never "
        f"comes; {advice}",
        fix=_fix(each.function, ctx) if each.function is not None else None,
        related=[(each.eval_call, "eval() does not stop the recording")] if each.eval_call is not None else [],
    )


def _fix(function: cst.FunctionDef, ctx: Context) -> Fix | None:
    decorator = ctx.names.spelling("torch.no_grad", function)
    if decorator is None:
        return None
    is_generator = any(isinstance(node, cst.Yield) for node in walk(function.body))
    safety = Safety.SAFE if not is_generator and _returns_numbers(function, ctx) else Safety.UNSAFE
    return ctx.fix(safety, ctx.insert_line_above(function, f"@{decorator}()"))


def _returns_numbers(function: cst.FunctionDef, ctx: Context) -> bool:
    """Whether nothing that is returned or kept in an attribute can carry a graph."""
    for node in walk(function.body):
        if isinstance(node, cst.Return) and node.value is not None and not _is_number(node.value, ctx, set()):
            return False
        if isinstance(node, cst.AssignTarget) and not isinstance(node.target, (cst.Name, cst.Tuple)):
            return False
        if isinstance(node, cst.Call) and _hands_out(node, function, ctx):
            return False
    return True


def _hands_out(call: cst.Call, function: cst.FunctionDef, ctx: Context) -> bool:
    """Whether a call puts something that may carry a graph where others find it: `self.outputs.append(y)`."""
    method = call.func if isinstance(call.func, cst.Attribute) else None
    if method is None or method.attr.value not in _COLLECTING:
        return False
    scope = ctx.scopes.inside(function)
    local = isinstance(method.value, cst.Name) and ctx.names.reference(method.value).scope is scope
    told = local and all(each.kind is BindingKind.ASSIGNMENT for each in scope.bindings[method.value.value])  # type: ignore[attr-defined]
    return not told and not all(_is_number(given.value, ctx, set()) for given in call.args)


def _is_number(value: cst.BaseExpression, ctx: Context, seen: set[Binding]) -> bool:
    if isinstance(value, cst.Tuple):
        return all(_is_number(element.value, ctx, seen) for element in value.elements)
    if isinstance(value, cst.BinaryOperation):
        return _is_number(value.left, ctx, seen) and _is_number(value.right, ctx, seen)
    if isinstance(value, cst.Call) and ctx.names.full_name(value.func) == "builtins.round":
        return all(_is_number(given.value, ctx, seen) for given in value.args)
    if not isinstance(value, cst.Name):
        return ctx.graphs.is_free(value)
    if value.value in ("None", "True", "False"):
        return True
    bindings = ctx.names.reference(value).bindings
    return bool(bindings) and all(_binds_number(each, ctx, seen) for each in bindings)


def _binds_number(binding: Binding, ctx: Context, seen: set[Binding]) -> bool:
    if binding in seen:
        return True
    seen.add(binding)
    above = ctx.tree.parent(binding.node)
    added = above.value if isinstance(above, cst.AugAssign) else binding.value
    known = (BindingKind.ASSIGNMENT, BindingKind.AUGMENTED)
    return binding.kind in known and added is not None and _is_number(added, ctx, seen)
