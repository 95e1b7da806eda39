"""From an expression that builds layers to the links they make: Sequential and its arguments, lists, loops.

`LayerValues.layer` answers for one module (`nn.Sequential(...)`, `nn.Linear(3, 4)`), `items` for a list of them (the
argument of a starred or a ModuleList). What cannot be known is one opaque link, never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import UNKNOWN, Environment, bound, constant, integer, iterated
from gradlint.scopes import BindingKind
from gradlint.semantics.flows import LONGEST, Links, opaque
from gradlint.semantics.inlined import inlined_call
from gradlint.semantics.layers import Link, LinkKind, layer_kind
from gradlint.semantics.list_replay import Grown, ListReplay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.names import Names
    from gradlint.walk import Tree

Items = list[Links]
Inside = Callable[[cst.Call, Environment], Links]  # the links inside a call of a module class of the file

_DEEPEST = 12  # calls and variables that are followed into each other

_FIRST_DIMS = {LinkKind.LINEAR: ("in_features", "out_features"), LinkKind.CONV: ("in_channels", "out_channels")}
_LISTS = frozenset({"torch.nn.ModuleList", "builtins.list", "builtins.tuple"})
_DICTS = frozenset({"collections.OrderedDict", "typing.OrderedDict", "torch.nn.ModuleDict", "builtins.dict"})


def link_of(
    node: cst.Call, name: str, kind: tuple[LinkKind, str | None], names: Names, known: Environment | None
) -> Link:
    """The link of a layer's constructor call or of a function call, with its dims where they are literal."""
    lazy = ".Lazy" in name  # takes its first dimension from its first input
    keywords = _FIRST_DIMS.get(kind[0], ())
    given = [argument(node, index - lazy, keyword) for index, keyword in enumerate(keywords)]
    first, second = given or (None, None)
    bias = argument(node, -1, "bias")
    stated = constant(bias, names, known) if bias is not None else True
    return Link(
        kind[0],
        node,
        name,
        kind[1],
        integer(first, names, known),
        integer(second, names, known),
        stated if isinstance(stated, bool) and kind[0] in _FIRST_DIMS else None,
    )


def argument(call: cst.Call, index: int, keyword: str) -> cst.BaseExpression | None:
    """An argument by position (negative: keyword only) or keyword; None when absent or behind a star."""
    for position, given in enumerate(call.args):
        if given.star == "*":
            index = -1
        if given.keyword is not None and given.keyword.value == keyword:
            return given.value
        if given.keyword is None and not given.star and position == index:
            return given.value
    return None


@dataclass(frozen=True, eq=False)
class Made:
    """A layer as the value of a name."""

    links: Links


class LayerValues:
    """Evaluates layer expressions of one file."""

    def __init__(
        self, tree: Tree, names: Names, inside: Callable[[cst.Call, Environment], Links] | None = None
    ) -> None:
        self._tree = tree
        self._names = names
        self._inside = inside
        self._following: list[cst.CSTNode] = []

    @cached_property
    def grown(self) -> Grown:
        """What is filled after it was made."""
        return Grown(self._tree, self._names)

    def layer(self, value: cst.CSTNode | None, known: Environment | None = None) -> Links:
        """The links that one module makes."""
        assert value is not None
        known = known or {}
        if isinstance(value, cst.Name) and isinstance(made := known.get(value.value), Made):
            return made.links
        if value in self._following or len(self._following) > _DEEPEST:
            return opaque(value)
        self._following.append(value)
        try:
            if isinstance(value, cst.Call):
                return self._constructed(value, known)
            return self._variable(value, known) if isinstance(value, cst.Name) else opaque(value)
        finally:
            self._following.pop()

    def _variable(self, name: cst.Name, known: Environment) -> Links:
        if self.grown.holds(name):
            return self._joined(ListReplay(self._tree, self._names, self, name, known).items(), name)
        binding = self._names.reference(name).binding
        if binding is None or binding.kind is not BindingKind.ASSIGNMENT:
            return opaque(name)
        here = binding.scope is self._names.scopes.of(name)
        return self.layer(binding.value, known if here else None)

    def _constructed(self, call: cst.Call, known: Environment) -> Links:
        name = self._names.full_name(call.func)
        if name == "torch.nn.Sequential":
            return self.in_sequence(call, known)
        kind = layer_kind(name) if name else None
        if name is not None and kind is not None and name not in _LISTS | _DICTS:
            return (link_of(call, name, kind, self._names, known),)
        inlined = inlined_call(call, self._tree, self._names, known)
        if inlined is not None:
            return tuple(link.again() for link in self.layer(*inlined))
        return self._inside(call, known) if self._inside is not None else opaque(call)

    def in_sequence(self, call: cst.Call, known: Environment | None = None) -> Links:
        """The links of the modules that are a call's arguments, as in `nn.Sequential(...)`."""
        links: list[Link] = []
        for given in call.args:
            if given.star == "*":
                links += self._joined(self.items(given.value, known), given.value)
            elif given.keyword is not None or given.star:
                links += opaque(given.value)
            elif len(call.args) == 1 and self._is_dict(given.value):
                links += self._joined(self.items(given.value, known), given.value)
            else:
                links += self.layer(given.value, known)
            if len(links) > LONGEST:
                return (*links[:LONGEST], *opaque(call))
        return tuple(link.again() for link in links)

    def items(self, value: cst.CSTNode | None, known: Environment | None = None) -> Items | None:
        """The links of each module in a list, tuple, comprehension, ModuleList or dict; None when unknown."""
        known = known or {}
        if isinstance(value, (cst.List, cst.Tuple)):
            return self._elements(value.elements, known)
        if isinstance(value, (cst.ListComp, cst.GeneratorExp)):
            return self._comprehended(value, known)
        if isinstance(value, cst.Dict):
            return self._values(value, known)
        if isinstance(value, cst.Call):
            return self._called(value, known)
        if isinstance(value, cst.BinaryOperation):
            return self._operated(value, known)
        if isinstance(value, cst.Name):
            return ListReplay(self._tree, self._names, self, value, known).items()
        return None

    def filled(self, subject: cst.Name | cst.Attribute, known: Environment | None = None) -> Items | None:
        """The links of each item of a container that is filled after it was made, when its block has run."""
        return ListReplay(self._tree, self._names, self, subject, known, whole=True).items()

    def _elements(self, elements: Iterable[cst.BaseElement], known: Environment) -> Items | None:
        found: Items = []
        for element in elements:
            if isinstance(element, cst.StarredElement):
                inner = self.items(element.value, known)
                if inner is None:
                    return None
                found += inner
            elif isinstance(element.value, cst.Tuple) and len(element.value.elements) == 2:
                found.append(self.layer(element.value.elements[1].value, known))  # ("name", layer)
            else:
                found.append(self.layer(element.value, known))
        return found

    def _comprehended(self, value: cst.ListComp | cst.GeneratorExp, known: Environment) -> Items | None:
        rounds: list[Environment] | None = [known]
        clause: cst.CompFor | None = value.for_in
        while clause is not None and rounds is not None:
            rounds = self._clause(clause, rounds)
            clause = clause.inner_for_in
        if rounds is None:
            return None
        element: cst.BaseExpression = value.elt
        if isinstance(element, cst.Tuple) and len(element.elements) == 2:
            element = element.elements[1].value
        return [self.layer(element, each) for each in rounds]

    def _clause(self, clause: cst.CompFor, rounds: list[Environment]) -> list[Environment] | None:
        """The names that one `for` of a comprehension gives in each of its rounds."""
        found: list[Environment] = []
        for known in rounds:
            values = iterated(clause.iter, self._names, known)
            if values is None or any(value is UNKNOWN for value in values):
                layers = self.items(clause.iter, known) if values is None or values else None
                values = values if layers is None else tuple(map(Made, layers))
            if values is None or clause.ifs or clause.asynchronous or len(values) > LONGEST:
                return None
            for value in values:
                names = bound(clause.target, value)
                if names is None or len(found) > LONGEST:
                    return None
                found.append({**known, **names})
        return found

    def _values(self, value: cst.Dict, known: Environment) -> Items | None:
        pairs = [element for element in value.elements if isinstance(element, cst.DictElement)]
        return [self.layer(pair.value, known) for pair in pairs] if len(pairs) == len(value.elements) else None

    def _called(self, call: cst.Call, known: Environment) -> Items | None:
        name = self._names.full_name(call.func)
        if name == "torch.nn.Sequential":
            return self._children(call, known)
        inlined = inlined_call(call, self._tree, self._names, known)
        if inlined is not None and len(self._following) <= _DEEPEST:
            self._following.append(call)
            try:
                return self.items(*inlined)
            finally:
                self._following.pop()
        if name not in _LISTS | _DICTS or any(given.star or given.keyword for given in call.args):
            return None
        if not call.args:
            return []
        return self.items(call.args[0].value, known) if len(call.args) == 1 else None

    def _children(self, call: cst.Call, known: Environment) -> Items | None:
        """The links of each module directly in a Sequential."""
        found: Items = []
        for given in call.args:
            listed = given.star == "*" or (len(call.args) == 1 and self._is_dict(given.value))
            items = self.items(given.value, known) if listed else [self.layer(given.value, known)]
            if items is None or given.keyword is not None:
                return None
            found += items
        return found

    def _operated(self, value: cst.BinaryOperation, known: Environment) -> Items | None:
        if isinstance(value.operator, cst.Add):
            left, right = self.items(value.left, known), self.items(value.right, known)
            return None if left is None or right is None else left + right
        if isinstance(value.operator, cst.Multiply):
            for repeated, count in ((value.left, value.right), (value.right, value.left)):
                items, times = self.items(repeated, known), integer(count, self._names, known)
                if items is not None and times is not None and len(items) * times <= LONGEST:
                    return items * times
        return None

    def _is_dict(self, value: cst.BaseExpression) -> bool:
        called = isinstance(value, cst.Call) and self._names.full_name(value.func) in _DICTS
        return called or isinstance(value, cst.Dict)

    @staticmethod
    def _joined(items: Items | None, node: cst.CSTNode) -> Links:
        return opaque(node) if items is None else tuple(link for links in items for link in links)
