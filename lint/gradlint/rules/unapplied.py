"""What GRD109 asks: is an init function used, which layers does an early `apply` miss, is a new tensor thrown away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import ScopeKind
from gradlint.semantics.init_function import InitCall, InitFunction, InitFunctionNode, Subject, walked_over
from gradlint.semantics.layers import LinkKind, layer_kind
from gradlint.semantics.module_class import Attribute, AttributeKind, ModuleClass
from gradlint.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.rule import Context

_NEW = frozenset(
    f"torch.{name}" for name in words("empty normal ones ones_like rand rand_like randn randn_like zeros zeros_like")
)
_WEIGHTED = (LinkKind.LINEAR, LinkKind.CONV, LinkKind.RNN)


@dataclass(frozen=True, eq=False)
class EarlyInit:
    """One `self.apply(init)`, or a loop over `self.modules()`, before layers are made."""

    node: cst.CSTNode
    before: list[Attribute]
    after: list[Attribute]


def is_never_used(node: cst.FunctionDef, ctx: Context) -> bool:
    """Whether nothing in the file mentions a function, by name or in a string."""
    name = node.name.value
    if node.decorators or name.startswith("__"):
        return False
    if any(found is not node.name and not _is_of_torch(found, ctx) for found in ctx.tree.named(name)):
        return False
    texts = ctx.tree.nodes(cst.SimpleString)
    return not any(name in found.value and found.evaluated_value == name for found in texts)


def _is_of_torch(name: cst.Name, ctx: Context) -> bool:
    """Whether a name is the `init` of `nn.init`, or of an import of it."""
    above = ctx.tree.parent(name)
    full = ctx.names.full_name(above) if isinstance(above, cst.Attribute) and above.attr is name else None
    return (full or "").startswith("torch.")


def may_be_used_elsewhere(function: InitFunction, ctx: Context) -> bool:
    """Whether other code can use it: by import, through a subclass, or because a framework calls it."""
    node = function.node
    assert isinstance(node, cst.FunctionDef)
    around = ctx.scopes.of(node)
    if around.kind is ScopeKind.FUNCTION:
        return False
    if f".apply({node.name.value}" in (says := node.get_docstring() or "") or f".{node.name.value})" in says:
        return True  # its docstring says who applies it
    if around.kind is not ScopeKind.CLASS:
        return not _is_program(ctx)
    owner = ctx.classes.enclosing(node)
    own = owner is not None and all(
        base == "torch.nn.Module" for one in ctx.classes.lineage(owner) for base in one.bases
    )
    inherited = owner is not None and any(owner in ctx.classes.lineage(one)[1:] for one in ctx.classes.all)
    return not own or inherited or not (node.name.value.startswith("_") or _is_program(ctx))


def _is_program(ctx: Context) -> bool:
    """Whether a file uses its models itself: a script, a notebook, a page of a course."""
    main = any(found.evaluated_value == "__main__" for found in ctx.tree.nodes(cst.SimpleString))
    return main or any(
        ctx.classes.is_module(ctx.names.full_name(call.func)) and ctx.scopes.of(call).kind is ScopeKind.MODULE
        for call in ctx.tree.nodes(cst.Call)
    )


def early_inits(ctx: Context) -> Iterator[EarlyInit]:
    """The initialisations of `self` that some layers of the class are made after."""
    for node, owner, calls in _self_inits(ctx):
        method = ctx.tree.enclosing(node, cst.FunctionDef)
        plain = owner.bases == ("torch.nn.Module",) and not owner.dynamic
        if method is None or method is not owner.methods.get("__init__") or not plain:
            continue
        places = [place for several in owner.attributes.values() for place in several]
        made = [place for place in places if place.kind in (AttributeKind.LAYER, AttributeKind.OPAQUE)]
        if any(place.method is not method or place.kind is AttributeKind.OPAQUE for place in made):
            continue
        start = ctx.tree.place(node)
        layers = [place for place in made if _is_meant(place, calls, ctx)]
        before = [place for place in layers if ctx.tree.place(place.node) < start]
        after = [place for place in layers if ctx.tree.place(place.node) > start and not _has_own(place, calls, ctx)]
        unclear = [place for place in made if ctx.tree.place(place.node) < start and place not in layers]
        if after and (before or not any(_may_hold(place) for place in unclear)):
            yield EarlyInit(node, before, after)


def _self_inits(ctx: Context) -> Iterator[tuple[cst.CSTNode, ModuleClass, list[InitCall]]]:
    for function in ctx.inits.functions:
        for place in function.applied:
            if place.owner is not None and ctx.names.self_class(place.receiver) is not None:
                yield place.node, place.owner, [call for call in function.calls if call.attribute == "weight"]
    loops: dict[cst.CSTNode, list[InitCall]] = {}
    for call in ctx.inits.calls:
        if call.subject is Subject.EACH_MODULE and call.attribute == "weight" and call.root is not None:
            walked = walked_over(call.root, ctx.tree)
            if walked is not None:
                loops.setdefault(walked, []).append(call)
    for iterated, filling in loops.items():
        if isinstance(iterated, cst.Call) and isinstance(iterated.func, cst.Attribute):
            node = ctx.names.self_class(iterated.func.value)
            if node is not None:
                yield iterated, ctx.classes.of(node), filling


def _is_meant(place: Attribute, calls: list[InitCall], ctx: Context) -> bool:
    """Whether an attribute is, or plainly contains, a layer that the init calls fill."""
    known = [call.types for call in calls if None not in call.types]
    allowed = frozenset().union(*known)
    if not known:
        return False
    constructed = ctx.tree.below(place.value, cst.Call) if place.value is not None else ()
    names = [ctx.names.full_name(call.func) for call in constructed]
    return any(name in allowed if allowed else _has_weight(name) for name in names)


def _has_weight(name: str | None) -> bool:
    kind = layer_kind(name) if name is not None else None
    return kind is not None and kind[0] in _WEIGHTED


def _may_hold(place: Attribute) -> bool:
    """Whether a module made before may contain layers that cannot be seen here."""
    kind = layer_kind(place.type) if place.type is not None else None
    return kind is None or place.type in ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict")


def _has_own(place: Attribute, calls: list[InitCall], ctx: Context) -> bool:
    """Whether a layer is initialised by its name, too."""
    others = [call for call in ctx.inits.calls if call not in calls and call.tensor is not None]
    return any(
        isinstance(node, cst.Attribute) and node.attr.value == place.name
        for call in others
        for node in ctx.tree.walk(call.tensor or call.node)
    )


def makes_a_new_tensor(function: InitFunctionNode, ctx: Context) -> cst.CSTNode | None:
    """The value that an applied function returns, when it is a new tensor and the function changes nothing."""
    parameter = ctx.inits.module_parameter(function)
    if parameter is None or any(_changes(node, ctx) for node in ctx.tree.walk(function.body)):
        return None
    returned = [node.value for node in ctx.tree.below(function.body, cst.Return) if node.value is not None]
    values: list[cst.BaseExpression] = [function.body] if isinstance(function, cst.Lambda) else returned
    return next((value for value in values if _is_new(value, parameter.name.value, ctx)), None)


def _is_new(value: cst.BaseExpression, parameter: str, ctx: Context) -> bool:
    below = list(ctx.tree.walk(value))
    made = any(isinstance(node, cst.Call) and ctx.names.full_name(node.func) in _NEW for node in below)
    weights = [node for node in below if isinstance(node, cst.Attribute) and node.attr.value in ("weight", "bias")]
    return made and any(isinstance(one.value, cst.Name) and one.value.value == parameter for one in weights)


def _changes(node: cst.CSTNode, ctx: Context) -> bool:
    if isinstance(node, (cst.AssignTarget, cst.AugAssign)):
        return not isinstance(node.target, cst.Name)
    if not isinstance(node, cst.Call):
        return False
    name = ctx.names.full_name(node.func)
    method = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
    return (
        method.endswith("_")
        or (name is None and not isinstance(node.func, cst.Attribute))
        or name == "builtins.setattr"
    )
