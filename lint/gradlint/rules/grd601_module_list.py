"""Layers in a plain list, tuple or dict of a module, where torch does not see them.

## What it does
Reports attributes of an `nn.Module` that hold layers with parameters in a plain list, tuple or dict: written out, by
a comprehension, or filled with `append`, also through a local variable. Silent where the same layers are registered
in another way (`add_module`, `setattr`, `nn.Sequential(*layers)`) or the class collects its parameters itself, and
for lists with one element, the usual way to hide a module on purpose.

## Why is this bad
Only attributes that are modules are registered. Layers in a list are missing from `parameters()`, so no optimizer
trains them; from `state_dict()`, so they are lost on save; and `.to()`, `.eval()` and `.apply()` pass them by. A
module with three `nn.Linear` in a list has 0 parameters.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(3)]
```

## Use instead
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
```

## Fix safety
Safe: `nn.ModuleList` (`nn.ModuleDict` for string keys) takes the place of the list in every use the class makes of
it. Old checkpoints lack the new entries, which held nothing before. No fix where the list holds other things too.

## References
- https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
- https://github.com/pytorch/pytorch/issues/715
- https://github.com/pytorch-labs/torchfix/issues/31
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Fix, Safety
from gradlint.rule import Context, checks
from gradlint.semantics.held_modules import HeldModules
from gradlint.semantics.super_init import is_after_super
from gradlint.words import words

if TYPE_CHECKING:
    from gradlint.semantics.module_class import Attribute, ModuleClass

# A class that defines one of these looks after its modules itself.
_COLLECTING = words("parameters named_parameters modules named_modules children _apply to cuda state_dict train")
# Functions that only read what they are given.
_READING = words("len enumerate zip range reversed list tuple print iter sum isinstance sorted min max any all map")
# What is asked of one parameter without training it.
_ASKED = words("device dim dtype ndim nelement numel requires_grad requires_grad_ shape size")
_PUTTING = words("append insert extend add add_module register_module")
_METHODS = {"ModuleList": words("append extend insert pop"), "ModuleDict": words("items keys values update pop")}


@checks(cst.Module)
def check(_: cst.Module, ctx: Context) -> None:
    """Look at the attributes of each module class that are filled at one place."""
    held = HeldModules(ctx.tree, ctx.names, ctx.classes)
    for owner in ctx.classes.modules:
        if any(one.dynamic or _COLLECTING & one.methods.keys() for one in ctx.classes.lineage(owner)):
            continue
        if any(_is_registry(word, ctx) for word in ctx.tree.named("_modules") if ctx.tree.holds(owner.node, word)):
            continue
        for name in owner.attributes:
            place = _filled(owner, name)
            if place is not None and place.method is not None and isinstance(place.node, cst.Attribute):
                _look(owner, place, held, ctx)


def _is_registry(word: cst.Name, ctx: Context) -> bool:
    """Whether the class writes to torch's own dict: `self._modules[name] = layer`, `self._modules.update(...)`."""
    node = ctx.tree.parent(word)
    if not isinstance(node, cst.Attribute) or ctx.names.self_attribute(node) != "_modules":
        return False
    above = ctx.tree.parent(node)
    if isinstance(above, cst.Attribute):
        return above.attr.value in ("update", "setdefault", "__setitem__")
    if isinstance(above, cst.Arg):
        return _is_given_away(node, ctx)
    place = ctx.tree.parent(above) if isinstance(above, cst.Subscript) else above
    return isinstance(place, (cst.AssignTarget, cst.AugAssign))


def _filled(owner: ModuleClass, name: str) -> Attribute | None:
    """The only place that sets an attribute to something: `self.layers = []` or None in another branch do not count."""
    filled = [place for place in owner.attributes[name] if not _is_empty(place.value)]
    return filled[0] if len(filled) == 1 else owner.attribute(name)


def _is_empty(value: cst.BaseExpression | None) -> bool:
    if isinstance(value, (cst.List, cst.Tuple, cst.Dict)):
        return not value.elements
    return isinstance(value, cst.Name) and value.value == "None"


def _look(owner: ModuleClass, place: Attribute, held: HeldModules, ctx: Context) -> None:
    variable = held.variable(place.value)
    made = _value(variable, ctx) if variable is not None else place.value
    elements = held.elements(made)
    if made is None or elements is None:
        return
    uses = _uses_of_attribute(owner, place, ctx)
    if variable is not None and place.method is not None:
        uses += _uses_of_variable(variable, place.method, ctx)
    if any(_is_given_away(use, ctx) or _is_passed_on(use, ctx) for use in uses):
        return
    elements += held.added(call for use in uses if (call := _method_call(use, ctx)) is not None)
    elements = [_followed(element, ctx) for element in elements]
    modules = [element for element in elements if held.has_parameters(element)]
    alone = isinstance(made, (cst.List, cst.Tuple, cst.Dict)) and elements == held.elements(made) and len(elements) < 2
    if modules and not alone:
        kind = "ModuleDict" if isinstance(made, (cst.Dict, cst.DictComp)) else "ModuleList"
        plain = {cst.Dict: "dict", cst.DictComp: "dict", cst.Tuple: "tuple"}.get(type(made), "list")
        all_known = all(ctx.classes.is_module(ctx.classes.constructed(element)) for element in elements)
        ctx.report(
            place.node,
            f"`self.{place.name}` is a plain {plain}: the layers in it are missing from parameters(), state_dict() "
            f"and .to(), so they are neither trained nor saved; use nn.{kind}",
            fix=_fix(place, made, kind, uses, ctx) if all_known and len(owner.attributes[place.name]) == 1 else None,
            related=[(modules[0], "a layer that is not registered")],
        )


def _value(variable: cst.Name, ctx: Context) -> cst.BaseExpression | None:
    binding = ctx.names.reference(variable).binding
    return binding.value if binding is not None else None


def _followed(element: cst.BaseExpression, ctx: Context) -> cst.BaseExpression:
    """The call behind a variable that is bound once and used only to be put into the list."""
    if not isinstance(element, cst.Name):
        return element
    binding = ctx.names.reference(element).binding
    function = ctx.tree.enclosing(element, cst.FunctionDef)
    if binding is None or binding.value is None or function is None:
        return element
    uses = [node for node in ctx.tree.below(function, cst.Name) if node.value == element.value]
    return binding.value if len(uses) == 2 else element


def _uses_of_attribute(owner: ModuleClass, place: Attribute, ctx: Context) -> list[cst.BaseExpression]:
    return [
        node
        for node in ctx.tree.below(owner.node, cst.Attribute)
        if node.attr.value == place.name and node is not place.node and ctx.names.self_attribute(node) == place.name
    ]


def _uses_of_variable(variable: cst.Name, method: cst.FunctionDef, ctx: Context) -> list[cst.BaseExpression]:
    scope = ctx.names.reference(variable).scope
    bound = ctx.names.reference(variable).binding
    return [
        node
        for node in ctx.tree.below(method, cst.Name)
        if node.value == variable.value
        and node is not variable
        and (bound is None or node is not bound.node)
        and ctx.names.reference(node).scope is scope
    ]


def _is_given_away(use: cst.BaseExpression, ctx: Context) -> bool:
    """Whether something else may register what is in the list: a call takes it, or another name stands for it."""
    for above in ctx.tree.ancestors(use):
        if isinstance(above, cst.Arg):
            call = ctx.tree.parent(above)
            name = ctx.names.full_name(call.func) if isinstance(call, cst.Call) else None
            return name is None or name.partition("builtins.")[2] not in _READING
        if isinstance(above, (cst.Assign, cst.AnnAssign, cst.Return, cst.NamedExpr)):
            value = above.value
            return value is use or (isinstance(value, cst.BinaryOperation) and use in (value.left, value.right))
        if isinstance(above, (cst.BaseSmallStatement, cst.BaseCompoundStatement, cst.Call, cst.Subscript)):
            return False
    return False


def _is_passed_on(use: cst.BaseExpression, ctx: Context) -> bool:
    """Whether a loop puts each element elsewhere (`parts.append(layer)`), or its parameters are collected by hand."""
    element = ctx.tree.parent(use)
    if isinstance(element, cst.Subscript) and element.value is use and _is_element_kept(element, ctx):
        return True
    loop = ctx.tree.enclosing(use, cst.For, cst.CompFor, cst.FunctionDef)
    if not isinstance(loop, (cst.For, cst.CompFor)) or use not in ctx.tree.walk(loop.iter):
        return False
    each = {name.value for name in ctx.tree.below(loop.target, cst.Name)}
    body = loop.body if isinstance(loop, cst.For) else ctx.tree.parent(loop) or loop
    for read in ctx.tree.below(body, cst.Attribute):
        if isinstance(read.value, cst.Name) and read.value.value in each and _collects(read, ctx):
            return True
    for given in ctx.tree.below(body, cst.Arg):
        call = ctx.tree.parent(given)
        if not isinstance(given.value, cst.Name) or given.value.value not in each or not isinstance(call, cst.Call):
            continue
        method = call.func.attr.value if isinstance(call.func, cst.Attribute) else ""
        if method in _PUTTING or ctx.classes.is_module(ctx.names.full_name(call.func)):
            return True
    return False


def _collects(method: cst.Attribute, ctx: Context) -> bool:
    """Whether `layer.parameters()` goes anywhere; counting, freezing and filling them one by one trains nothing."""
    call = ctx.tree.parent(method)
    if method.attr.value != "parameters" or not isinstance(call, cst.Call) or call.func is not method:
        return False
    loop = ctx.tree.parent(call)
    if not isinstance(loop, (cst.For, cst.CompFor)) or loop.iter is not call or not isinstance(loop.target, cst.Name):
        return True
    around = loop
    while isinstance(around, cst.CompFor):
        around = ctx.tree.parent(around)  # type: ignore[assignment]
    inside = around.body if isinstance(around, cst.For) else around
    uses = (name for name in ctx.tree.below(inside, cst.Name) if name.value == loop.target.value)
    return any(use is not loop.target and not _is_only_asked(use, ctx) for use in uses)


def _is_only_asked(parameter: cst.Name, ctx: Context) -> bool:
    """Whether a use of a parameter counts, freezes or fills it: `p.numel()`, `p.requires_grad = False`."""
    above = ctx.tree.parent(parameter)
    if isinstance(above, cst.Attribute):
        return above.value is not parameter or above.attr.value in _ASKED
    call = ctx.tree.parent(above) if isinstance(above, cst.Arg) else None
    return isinstance(call, cst.Call) and (ctx.names.full_name(call.func) or "").startswith("torch.nn.init.")


def _is_element_kept(element: cst.Subscript, ctx: Context) -> bool:
    """`self.first = self.layers[0]` registers it, `self.layers[0].parameters()` goes to an optimizer."""
    above = ctx.tree.parent(element)
    if isinstance(above, cst.Attribute):
        return _collects(above, ctx)
    targets = [target.target for target in above.targets] if isinstance(above, cst.Assign) else []
    return any(ctx.names.self_attribute(target) is not None for target in targets)


def _method_call(use: cst.BaseExpression, ctx: Context) -> cst.Call | None:
    """`self.layers.append(...)` around a use of `self.layers`."""
    method = ctx.tree.parent(use)
    call = ctx.tree.parent(method) if isinstance(method, cst.Attribute) and method.value is use else None
    return call if isinstance(call, cst.Call) and call.func is method else None


def _fix(
    place: Attribute, made: cst.BaseExpression, kind: str, uses: list[cst.BaseExpression], ctx: Context
) -> Fix | None:
    value = place.value
    spelled = ctx.names.spelling(f"torch.nn.{kind}", place.node)
    if value is None or spelled is None or not _has_string_keys(made) or not is_after_super(place.node, place.method):
        return None
    if any(_needs_a_list(use, kind, ctx) for use in uses):
        return None
    if isinstance(value, (cst.List, cst.Dict)) and not value.elements:
        return ctx.fix(Safety.SAFE, ctx.replace(value, f"{spelled}()"))
    bare = isinstance(value, cst.Tuple) and not value.lpar
    opening, closing = (f"{spelled}((", "))") if bare else (f"{spelled}(", ")")
    return ctx.fix(Safety.SAFE, ctx.insert_before(value, opening), ctx.insert_after(value, closing))


def _has_string_keys(made: cst.BaseExpression) -> bool:
    """Whether a dict may become an `nn.ModuleDict`; true for lists."""
    if isinstance(made, cst.Dict):
        return all(isinstance(getattr(element, "key", None), cst.SimpleString) for element in made.elements)
    return not isinstance(made, cst.DictComp)


def _needs_a_list(use: cst.BaseExpression, kind: str, ctx: Context) -> bool:
    above = ctx.tree.parent(use)
    if isinstance(above, (cst.BinaryOperation, cst.ComparisonTarget, cst.Comparison)):
        return True
    call = _method_call(use, ctx)
    return isinstance(above, cst.Attribute) and (call is None or above.attr.value not in _METHODS[kind])
