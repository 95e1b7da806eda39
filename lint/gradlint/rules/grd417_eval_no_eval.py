"""A network with dropout or batch normalisation that is evaluated in training mode.

## What it does
Reports functions that call a network of the file in a loop under `torch.no_grad()` or `torch.inference_mode()`, where
the network surely holds dropout or batch normalisation, the file trains it with `backward()`, and nothing in the whole
file ever calls `eval()` or `train(mode)`. Silent in functions that are about batch statistics or Monte Carlo dropout.

Precision: no finding, hence no wrong one, in timm 1.0.19, torchvision 0.23.0, transformers 4.56.2, kornia 0.9.0,
pytorch-lightning 2.6.6, d2l 1.0.3 and 110 further packages of the index. The naive rule was right in about half.

## Why is this bad
In training mode dropout still drops, so two evaluations of one input disagree, and batch normalisation uses the
statistics of the test batch and updates its running statistics with it: the test data leaks into the model, and the
prediction for an example depends on what else is in its batch.

## Example
```python
net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

def train(loader, optimizer):
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

@torch.no_grad()
def evaluate(loader):
    correct = 0
    for x, y in loader:
        correct += (net(x).argmax(1) == y).sum().item()
    return correct
```

## Use instead
```python
net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

def train(loader, optimizer):
    net.train()
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

@torch.no_grad()
def evaluate(loader):
    net.eval()
    correct = 0
    for x, y in loader:
        correct += (net(x).argmax(1) == y).sum().item()
    return correct
```

## Fix safety
Unsafe: the measured numbers change, and `train()` is called after the loop because nothing else in the file does.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.rules.lines import added_above
from gradlint.semantics.evaluation import Evaluations
from gradlint.semantics.grad_mode import Mode
from gradlint.semantics.layers import LinkKind
from gradlint.semantics.receiver_places import place_of
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.model import Edit, Fix

_OTHER_PURPOSE = re.compile(r"bn|batch_?norm|calib|statist|(?:^|_)mc(?:_|$)|monte|bayes|dropout|uncertain|ema|moment")
_SWITCHES = frozenset({"eval", "training", "set_training_mode", "update_bn"})
_MODAL = re.compile(r"^(?:Alpha|FeatureAlpha)?Dropout(?:\dd)?$|BatchNorm(?:\dd)?$")


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the calls of networks, in files that train and never call `eval()`."""
    if ctx.loops.has_framework or _may_switch(ctx):
        return
    evaluations = Evaluations(ctx.tree, ctx.names, ctx.calls)
    seen: set[cst.FunctionDef] = set()
    for call in ctx.tree.nodes(cst.Call):
        function = ctx.tree.enclosing(call, cst.FunctionDef)
        loops = evaluations.loops_around(call, function) if function is not None else []
        if function is None or function in seen or not loops or _OTHER_PURPOSE.search(function.name.value.lower()):
            continue
        modal = _modal_layer(call, ctx) if ctx.mode.at(call) is Mode.OFF and _is_used(call, ctx) else None
        if modal is not None and not evaluations.may_differentiate(loops[0]) and _is_trained(call, ctx):
            seen.add(function)
            _report(call, modal, loops[0], ctx)


def _may_switch(ctx: Context) -> bool:
    """Whether anything in the file sets or asks for the mode: `eval()`, `train(False)`, `self.training`."""
    if any(node.attr.value in _SWITCHES for node in ctx.tree.nodes(cst.Attribute)):
        return True
    return any(
        isinstance(call.func, cst.Attribute) and call.func.attr.value == "train" and call.args
        for call in ctx.tree.nodes(cst.Call)
    )


def _is_used(call: cst.Call, ctx: Context) -> bool:
    return not isinstance(ctx.tree.parent(call), cst.Expr)


def _modal_layer(call: cst.Call, ctx: Context) -> cst.CSTNode | None:
    """The first dropout or batch normalisation of the network that a call runs."""
    made = ctx.origins.of(call.func)
    if len(made) != 1 or not isinstance(made[0], cst.Call):
        return None
    name = ctx.classes.constructed(made[0])
    if name == "torch.nn.Sequential":
        links = ctx.chains.values.layer(made[0])
        kinds = (LinkKind.DROPOUT, LinkKind.NORM)
        return next((link.node for link in links if link.kind in kinds and _is_modal(link.name)), None)
    owner = ctx.classes.named(name)
    if owner is None or not owner.is_module:
        return None
    inner = [node for node in walk(owner.node) if isinstance(node, cst.Call)]
    return next((node for node in inner if _is_modal(ctx.names.full_name(node.func))), None)


def _is_modal(name: str | None) -> bool:
    module, _, short = (name or "").rpartition(".")
    return module == "torch.nn" and _MODAL.search(short) is not None


def _is_trained(call: cst.Call, ctx: Context) -> bool:
    """Whether a function of the file that calls `backward()` runs the same network."""
    wanted = set(ctx.origins.of(call.func))
    for other in ctx.tree.nodes(cst.Call):
        function = ctx.tree.enclosing(other, cst.FunctionDef) or ctx.tree.module
        if (
            other is not call
            and isinstance(other.func, (cst.Name, cst.Attribute))
            and wanted & set(ctx.origins.of(other.func))
        ):
            inner = (node for node in walk(function) if isinstance(node, cst.Attribute))
            if any(node.attr.value == "backward" for node in inner):
                return True
    return False


def _report(call: cst.Call, modal: cst.CSTNode, loop: cst.For | cst.While, ctx: Context) -> None:
    network = ctx.code(call.func)
    is_norm = "Norm" in ctx.code(modal)
    kind = "batch normalisation" if is_norm else "dropout"
    effect = "uses and updates the statistics of the test batches" if is_norm else "still drops"
    ctx.report(
        call,
        f"`{network}` is evaluated in training mode, nothing in this file calls eval(): its {kind} {effect}; "
        f"call `{network}.eval()` before the loop",
        fix=_fix(network, loop, ctx) if place_of(call.func, ctx.names, {}) is not None else None,
        related=[(modal, kind)],
    )


def _fix(network: str, loop: cst.For | cst.While, ctx: Context) -> Fix | None:
    block = ctx.tree.parent(loop)
    body = list(getattr(block, "body", ()))
    later = body[body.index(loop) + 1 :] if loop in body else []
    edits: list[Edit | None] = [added_above(loop, f"{network}.eval()", ctx)]
    edits.append(added_above(later[0], f"{network}.train()", ctx) if later else None)
    return ctx.fix(Safety.UNSAFE, *edits)
