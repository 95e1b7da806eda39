"""`F.dropout` in a module without `training`, or `nn.Dropout` made on the spot: it drops in evaluation too.

## What it does
Reports `functional.dropout`, `dropout1d`, `dropout2d` and `dropout3d` in the methods of an `nn.Module` without the
argument `training`, and `nn.Dropout(0.5)(x)`, made there and applied at once. Silent under a test of `training`, with
p=0, in helpers whose caller gives p (not where all calls in the file give a number), and where `training=True` is
written (Monte Carlo dropout on purpose) or the name of the class or method says so (the prenet of Tacotron drops in
synthesis on purpose).

## Why is this bad
The default is `training=True`, whatever `model.eval()` says, and so is the mode of a new `nn.Dropout`, which `eval()`
reaches only where `__init__` has registered it: with p=0.5 half of the activations are zeroed at
inference as well, the outputs are random, and two calls with one input disagree.

## Example
```python
class Net(nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5)
```

## Use instead
```python
class Net(nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, training=self.training)
```

## Fix safety
Safe: in training nothing changes, and evaluation becomes what `model.eval()` asks for. A module that is made on the
spot gets no fix: it belongs into `__init__`.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
- https://github.com/rixwew/pytorch-fm/issues/21
"""

from __future__ import annotations

import re

import libcst as cst

from gradlint.constants import number
from gradlint.model import Safety
from gradlint.rule import Context, checks
from gradlint.semantics.layer_values import argument
from gradlint.walk import walk

_DROPOUTS = frozenset(f"torch.nn.functional.dropout{size}" for size in ("", "1d", "2d", "3d"))
_MODULES = frozenset(
    f"torch.nn.{name}"
    for name in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")
)
_MEANT = re.compile(r"(?:^|_)mc(?:_|$)|^MC|MC[A-Z_]|monte|bayes|uncertain|stochastic", re.IGNORECASE)
_PRENET = re.compile(r"(?:^|_)pre_?net|(?:^|[a-z0-9_])Pre_?[Nn]et|PRENET")  # not `SupreNet`


@checks(cst.Call)
def check(call: cst.Call, ctx: Context) -> None:
    """Look at every functional dropout, and at every module of one that is made and applied at once."""
    name = ctx.names.full_name(call.func)
    made = name in _MODULES and _is_applied(call, ctx)
    if not made and (name not in _DROPOUTS or argument(call, 2, "training") is not None):
        return
    given_rate = argument(call, 0 if made else 1, "p")
    if any(given.star for given in call.args) or number(given_rate, ctx.names) == 0:
        return
    method = ctx.tree.enclosing(call, cst.FunctionDef)
    owner = ctx.classes.enclosing(call)
    if method is None or owner is None or not owner.is_module:
        return
    first = next(iter((*method.params.posonly_params, *method.params.params)), None)
    if first is None or owner.methods.get(method.name.value) is not method or not _is_self(first, method, ctx):
        return
    names = (method.name.value, owner.node.name.value)
    if any(_MEANT.search(each) or _PRENET.search(each) for each in names) or _is_guarded(call, method):
        return
    if _is_switched(call, ctx) or _is_given(given_rate, method, ctx):
        return
    rate = number(given_rate, ctx.names) if given_rate is not None else 0.5
    share = f"{100 * rate:g} % of the values" if rate is not None else "values"
    if made:
        ctx.report(
            call,
            f"`{ctx.code(call.func)}` is made in `{method.name.value}`, so it is in training mode and eval() does not "
            f"reach it: {share} are dropped in evaluation too; make it in `__init__`",
        )
        return
    short = (name or "").rpartition(".")[2]
    ctx.report(
        call,
        f"`{short}` has training=True by default: {share} are dropped in evaluation too, whatever eval() says; "
        f"pass training={first.name.value}.training",
        fix=ctx.fix(Safety.SAFE, ctx.add_keyword(call, f"training={first.name.value}.training")),
    )


def _is_applied(call: cst.Call, ctx: Context) -> bool:
    above = ctx.tree.parent(call)
    return isinstance(above, cst.Call) and above.func is call


def _is_self(first: cst.Param, method: cst.FunctionDef, ctx: Context) -> bool:
    unbound = {ctx.names.full_name(each.decorator) for each in method.decorators}
    return not unbound & {"builtins.staticmethod", "builtins.classmethod"} and first.name.value != "cls"


def _is_guarded(call: cst.Call, method: cst.FunctionDef) -> bool:
    """Whether the method asks about `training` before or around the call."""
    for node in walk(method.body):
        if node is call:
            return False
        if isinstance(node, (cst.If, cst.IfExp)) and any(
            (isinstance(each, cst.Attribute) and each.attr.value == "training")
            or (isinstance(each, cst.Name) and each.value in ("training", "is_training", "train", "is_train"))
            for each in walk(node.test)
        ):
            return True
    return False


def _is_given(rate: cst.BaseExpression | None, method: cst.FunctionDef, ctx: Context) -> bool:
    """Whether the caller of a helper gives the rate: it may give 0 in evaluation, as torch's attention does.

    Not where the file's own calls all leave it at its default or give a number above 0.
    """
    named = {each.name.value: each for each in (*method.params.params, *method.params.kwonly_params)}
    if not isinstance(rate, cst.Name) or rate.value not in named or method.name.value == "forward":
        return False
    sites = ctx.calls.sites(method)
    default = named[rate.value].default
    given = [ctx.calls.arguments(site, method).get(rate.value, default) for site in sites]
    starred = any(each.star for site in sites for each in site.args)
    return starred or not given or any(not number(each, ctx.names) for each in given)


def _is_switched(call: cst.Call, ctx: Context) -> bool:
    """Whether a variable of the method switches the call on and off: `if dropout > 0 and use_dropout:`."""
    child: cst.CSTNode = call
    for above in ctx.tree.ancestors(call):
        if isinstance(above, cst.FunctionDef):
            return False
        if isinstance(above, (cst.If, cst.IfExp)) and child is not above.test:
            tests = [above.test]
            while tests:
                test = tests.pop()
                if isinstance(test, cst.BooleanOperation):
                    tests += [test.left, test.right]
                elif isinstance(test, cst.Name) and not _is_rate(test, call):
                    return True
        child = above
    return False


def _is_rate(name: cst.Name, call: cst.Call) -> bool:
    return any(isinstance(node, cst.Name) and node.value == name.value for given in call.args for node in walk(given))
