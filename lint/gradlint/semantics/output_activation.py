"""Which activation a value went through last: in the expression, in a variable, or at the end of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.scopes import BindingKind
from gradlint.semantics.forward import ForwardTrace
from gradlint.semantics.layers import LinkKind, function_kind, layer_kind, method_kind
from gradlint.semantics.reaching import reaching_value
from gradlint.walk import walk

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.flows import Links
    from gradlint.semantics.layer_chain import LayerChains
    from gradlint.semantics.layers import Link
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.semantics.origins import Origins
    from gradlint.walk import Tree

_DEEPEST = 12
_UNPACKING = BindingKind.UNPACKING


@dataclass(frozen=True, eq=False)
class Ending:
    """How a value ends: `activation` is a word such as "softmax", or "" after a weight layer.

    `node` is where that stands, `classes` how many outputs it has, `argument` what the activation was given, where it
    is called in the expression itself.
    """

    activation: str
    node: cst.CSTNode
    classes: int | None = None
    argument: cst.BaseExpression | None = None


class OutputActivations:
    """Answers for one file; None where it cannot be known."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses, chains: LayerChains, origins: Origins) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self._chains, self._origins = chains, origins

    def of(self, value: cst.BaseExpression | None) -> Ending | None:
        """How a value ends."""
        return self._of(value, 0)

    def _of(self, value: cst.BaseExpression | None, depth: int) -> Ending | None:
        if depth > _DEEPEST:
            return None
        if isinstance(value, cst.Name):
            several, index = self._unpacked(value)
            if several is not None:
                return self._of_module(several, index)
            return self._of(reaching_value(value, self._tree, self._names), depth + 1)
        if not isinstance(value, cst.Call):
            return None
        found = function_kind(self._names.full_name(value.func) or "")
        given = value.args[0].value if value.args and not value.args[0].star else None
        if found is None and isinstance(value.func, cst.Attribute) and self._names.full_name(value.func) is None:
            found, given = method_kind(value.func.attr.value), value.func.value
        if found is None:
            return self._of_module(value)
        kind, word = found
        if kind is LinkKind.ACTIVATION:
            return Ending(word or "", value, argument=given)
        return self._of(given, depth + 1) if kind is LinkKind.RESHAPE else None

    def _unpacked(self, name: cst.Name) -> tuple[cst.Call | None, int]:
        """The call, and which of its values, of a name that is bound only by `a, name = net(x)`."""
        binding = self._names.reference(name).binding
        above = self._tree.parent(binding.node) if binding is not None and binding.kind is _UNPACKING else None
        several = self._tree.parent(above) if isinstance(above, cst.Element) else None
        assign = self._tree.enclosing(several, cst.Assign) if isinstance(several, cst.Tuple) else None
        if not isinstance(assign, cst.Assign) or not isinstance(assign.value, cst.Call) or len(assign.targets) != 1:
            return None, 0
        if not isinstance(several, cst.Tuple) or assign.targets[0].target is not several:
            return None, 0
        before = several.elements[: several.elements.index(above)]
        starred = any(isinstance(each, cst.StarredElement) for each in before)
        return (None, 0) if starred else (assign.value, len(before))

    def _of_module(self, call: cst.Call, index: int | None = None) -> Ending | None:
        own = self._names.self_class(call.func)
        if own is not None:
            owner = self._classes.of(own)
            below = [one for one in self._classes.all if owner in self._classes.lineage(one)[1:]]
            return None if any(one.forward is not None for one in below) else self._of_class(owner, index)
        made = self._origins.of(call.func)
        name = self._classes.constructed(made[0]) if len(made) == 1 else None
        if name is None or not isinstance(made[0], cst.Call):
            return None
        layer = layer_kind(name) if index is None else None
        if layer is not None and layer[0] is LinkKind.ACTIVATION:
            given = call.args[0].value if call.args and not call.args[0].star else None
            return Ending(layer[1] or "", made[0], argument=given)
        if name == "torch.nn.Sequential" and index is None:
            return _last(self._chains.values.layer(made[0]))
        return self._of_class(self._classes.named(name), index)

    def _of_class(self, owner: ModuleClass | None, index: int | None) -> Ending | None:
        if owner is None or not owner.is_module or owner.forward is None:
            return None
        width = _width(owner.forward)
        if (index is None and _returns(owner.forward) != 1) or (index is not None and index >= width):
            return None
        trace = ForwardTrace(self._tree, self._names, self._classes, self._chains.values, owner, {})
        trace.run(owner.forward)
        if index is not None:
            return _last(trace.returned[index]) if len(trace.returned) == width else None
        endings = [_last(links) for links in trace.returned]
        known = [each for each in endings if each is not None]
        same = len({(each.activation, each.node) for each in known}) == 1
        return known[0] if same and len(known) == len(endings) else None


def _returns(forward: cst.FunctionDef) -> int:
    """How many values a forward may return: more than one where a `return` gives several."""
    returned = [node.value for node in walk(forward.body) if isinstance(node, cst.Return)]
    return 2 if any(isinstance(value, (cst.Tuple, cst.List, cst.Dict)) for value in returned) else len(returned)


def _width(forward: cst.FunctionDef) -> int:
    """How many values the only `return` of a forward gives as a tuple that is written out; 0 otherwise."""
    returned = [node.value for node in walk(forward.body) if isinstance(node, cst.Return)]
    given = returned[0] if len(returned) == 1 else None
    plain = isinstance(given, cst.Tuple) and all(isinstance(each, cst.Element) for each in given.elements)
    return len(given.elements) if plain and isinstance(given, cst.Tuple) else 0


def _last(links: Links) -> Ending | None:
    """How a chain ends; None after anything but an activation or a weight layer."""
    width: int | None = None
    ending: Link | None = None
    for link in links:
        if link.kind is LinkKind.OPAQUE or link.has_weight:
            width = link.out_features
        if link.kind not in (LinkKind.RESHAPE, LinkKind.DROPOUT):
            ending = link
    if ending is None or ending.bypassed:
        return None
    if ending.kind is LinkKind.ACTIVATION:
        return Ending(ending.activation or "", ending.node, width)
    return Ending("", ending.node, width) if ending.has_weight else None
