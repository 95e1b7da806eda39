"""Which layers an init call fills for certain: through `apply`, loops over modules, or by name.

`InitReach.layers(call)` gives the constructor calls of those layers. Only what is resolved counts: an init function
of another file reaches what this one gives it, but one that another file applies reaches nothing here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import integer
from gradlint.semantics.foreign_init import foreign_calls
from gradlint.semantics.init_function import WALKING, InitCall, InitFunctionNode, Subject, walked_over
from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.names import Names
    from gradlint.semantics.init_function import InitFunctions
    from gradlint.semantics.layer_chain import LayerChains
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.walk import Tree

_DEEPEST = 5


class InitReach:
    """Combines the chains and the init calls of one file."""

    def __init__(
        self, tree: Tree, names: Names, classes: ModuleClasses, chains: LayerChains, inits: InitFunctions
    ) -> None:
        self._tree, self._names, self._classes, self._chains, self._inits = tree, names, classes, chains, inits
        self._reached: dict[InitCall, tuple[Link, ...]] = {}

    @cached_property
    def calls(self) -> tuple[InitCall, ...]:
        """The init calls of this file, and those of others that this file hands modules to."""
        foreign = foreign_calls(self._tree, self._names, self._classes.project)
        return tuple(sorted((*self._inits.calls, *foreign), key=lambda call: self._tree.place(call.place)))

    def layers(self, call: InitCall) -> tuple[Link, ...]:
        """The layers with a weight that a call fills for certain, each once."""
        if call not in self._reached:
            found = [link for receiver in self._receivers(call) for link in self._below(receiver, _DEEPEST)]
            allowed = {link.node: link for link in found if self._is_allowed(link, call)}
            self._reached[call] = tuple(allowed.values())
        return self._reached[call]

    @staticmethod
    def _is_allowed(link: Link, call: InitCall) -> bool:
        if not link.has_weight or None in call.types:
            return False
        return not call.types or link.name in call.types

    def _receivers(self, call: InitCall) -> Iterator[cst.BaseExpression]:
        """The modules whose layers a call fills."""
        if call.given is not None:
            yield call.given.module
        elif call.subject is Subject.PARAMETER and call.function is not None:
            yield from self._applied_to(call.function)
        elif call.subject is Subject.EACH_MODULE and call.root is not None:
            walked = walked_over(call.root, self._tree)
            if isinstance(walked, cst.Call) and isinstance(walked.func, cst.Attribute):
                yield walked.func.value
        elif (owner := _owner(call.tensor)) is not None and self._names.self_class(owner) is None:
            yield owner

    def _applied_to(self, function: InitFunctionNode) -> Iterator[cst.BaseExpression]:
        for found in self._inits.functions:
            if found.node is function:
                yield from (place.receiver for place in found.applied)
        for called, given in self._direct_calls:
            if called is function:
                yield given

    @cached_property
    def _direct_calls(self) -> list[tuple[cst.CSTNode, cst.BaseExpression]]:
        """`init(self.fc)`: the function and what it is given."""
        nodes = {found.node for found in self._inits.functions}
        found: list[tuple[cst.CSTNode, cst.BaseExpression]] = []
        for call in self._tree.nodes(cst.Call):
            if isinstance(call.func, cst.Name) and call.args and not call.args[0].star:
                binding = self._names.reference(call.func).binding
                if binding is not None and binding.node in nodes:
                    found.append((binding.node, call.args[0].value))
        return found

    # What an expression that is a module holds

    def _below(self, module: cst.BaseExpression, depth: int) -> list[Link]:
        """The layers in a module expression: `self`, `self.body`, `net`, `net[0]`, `nn.Sequential(...)`."""
        if depth == 0:
            return []
        if isinstance(module, cst.Call):
            return self._made(module, depth)
        if isinstance(module, cst.Subscript):
            return self._item(module)
        owner = self._names.self_class(module)
        if owner is not None:
            return self._of_class(self._classes.of(owner))
        attribute = self._names.self_attribute(module)
        if attribute is not None and isinstance(module, cst.Attribute):
            node = self._names.self_class(module.value)
            places = self._classes.of(node).attributes.get(attribute, []) if node is not None else []
            values = [place.value for place in places if place.value is not None]
            return [link for value in values for link in self._below(value, depth - 1)]
        return self._named(module, depth) if isinstance(module, cst.Name) else []

    def _named(self, name: cst.Name, depth: int) -> list[Link]:
        value = self._names.value_at(name) or walked_over(name, self._tree)
        return [] if value is None else self._below(value, depth - 1) or self._items(value)

    def _items(self, value: cst.BaseExpression) -> list[Link]:
        items = self._chains.values.items(value)
        return [link for links in items or () for link in links if link.kind is not LinkKind.OPAQUE]

    def _made(self, call: cst.Call, depth: int) -> list[Link]:
        function = call.func
        walked = isinstance(function, cst.Attribute) and function.attr.value in WALKING
        if walked and isinstance(function, cst.Attribute):
            return self._below(function.value, depth - 1)
        local = self._classes.named(self._names.full_name(function))
        if local is not None:
            return self._of_class(local) if local.is_module else []
        links = [link for link in self._chains.values.layer(call) if link.kind is not LinkKind.OPAQUE]
        return links or self._items(call)

    def _item(self, item: cst.Subscript) -> list[Link]:
        base = item.value
        if isinstance(base, cst.Name):
            base = self._names.value_at(base) or base
        node = self._names.self_class(base.value) if isinstance(base, cst.Attribute) else None
        if node is not None and isinstance(base, cst.Attribute):
            place = self._classes.of(node).attribute(base.attr.value)
            base = place.value if place is not None and place.value is not None else base
        items = self._chains.values.items(base)
        only = item.slice[0].slice if len(item.slice) == 1 else None
        index = integer(only.value, self._names) if isinstance(only, cst.Index) else None
        if items is None or index is None or not -len(items) <= index < len(items):
            return []
        return list(items[index])

    def _of_class(self, owner: ModuleClass) -> list[Link]:
        """The layers that the class's chains pass: its own, and those of the classes it is made of."""
        return [link for chain in self._chains.of(owner) for link in chain.links]


def _owner(tensor: cst.BaseExpression | None) -> cst.BaseExpression | None:
    """`self.fc` of `self.fc.weight.data`."""
    if isinstance(tensor, cst.Attribute) and tensor.attr.value == "data":
        tensor = tensor.value
    if isinstance(tensor, cst.Attribute) and tensor.attr.value == "weight":
        return tensor.value
    return None
