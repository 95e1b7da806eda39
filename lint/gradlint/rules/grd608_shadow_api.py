"""An attribute that takes the name of a method of `nn.Module`.

## What it does
Reports `self.cuda = flag`, `self.train = True`, `self.type = "conv"` and the like in an `nn.Module`: values that cannot
be called, and layers, under the name of a method that every module has. Silent for functions and methods put in a
method's place, where the class declares the name itself, and for `forward`.

## Why is this bad
The attribute hides the method: `model.cuda()` raises TypeError ("'bool' object is not callable"), and after
`self.train = True` so does `train()` and `eval()` of every model that contains this one. A layer is worse: it is
registered, but `self.half(x)` still finds the method, so the layer never runs.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cuda = False
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.use_cuda = False
```

## Fix safety
There is no fix: other code may use the name.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.rule import Context, checks
from gradlint.scopes import BindingKind
from gradlint.semantics.module_api import METHODS
from gradlint.semantics.module_class import Attribute, AttributeKind

if TYPE_CHECKING:
    from gradlint.scopes import Binding

_SHADOWED = METHODS - {"forward"}
_PLAIN = (cst.BaseNumber, cst.BaseString, cst.List, cst.Tuple, cst.Dict, cst.Set, cst.Comparison)
_PLAIN_TYPES = frozenset(f"builtins.{name}" for name in ("bool", "int", "float", "str", "list", "tuple", "dict", "set"))


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the attributes of each module class."""
    for owner in ctx.classes.modules:
        if any("__setattr__" in one.methods for one in ctx.classes.lineage(owner)):
            continue
        for name in _SHADOWED & owner.attributes.keys():
            if not any(name in one.methods for one in ctx.classes.lineage(owner)):
                place = next((one for one in owner.attributes[name] if _is_no_method(one, ctx)), None)
                if place is not None:
                    _report(place, ctx)


def _report(place: Attribute, ctx: Context) -> None:
    name = place.name
    if place.kind is AttributeKind.LAYER:
        what = f"`self.{name}(...)` still calls the method, and this layer never runs"
    else:
        what = f"`{name}()` of this module raises TypeError (not callable)"
        if name in ("train", "apply", "_apply", "named_modules", "named_parameters"):
            what += ", and so it does for every model that contains it"
    ctx.report(place.node, f"`self.{name}` takes the name of `nn.Module.{name}`: {what}; rename it")


def _is_no_method(place: Attribute, ctx: Context) -> bool:
    """Whether a value surely is no function."""
    value = place.value
    if place.kind is AttributeKind.LAYER:
        return True
    if isinstance(value, _PLAIN) or (isinstance(value, cst.Name) and value.value in ("True", "False")):
        return True
    if isinstance(value, cst.Call) and isinstance(value.func, cst.Name):
        return ctx.names.full_name(value.func) in _PLAIN_TYPES
    if not isinstance(value, cst.Name):
        return False
    binding = ctx.names.reference(value).binding
    return binding is not None and _is_plain_parameter(binding, ctx)


def _is_plain_parameter(binding: Binding, ctx: Context) -> bool:
    """Whether a parameter is told to be a number, string or flag: by its annotation, or by its default."""
    node = binding.node
    if binding.kind is not BindingKind.PARAMETER or not isinstance(node, cst.Param):
        return False
    if node.annotation is not None:
        return ctx.names.full_name(node.annotation.annotation) in _PLAIN_TYPES
    default = node.default
    return isinstance(default, _PLAIN) or (isinstance(default, cst.Name) and default.value in ("True", "False"))
