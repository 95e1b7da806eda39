"""The layers that a class keeps under `self`: what `self.name` is when `forward` uses it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.constants import UNKNOWN, Environment, bound, compared, constant, iterated, slice_of
from gradlint.semantics.flows import LONGEST
from gradlint.semantics.layer_values import Made
from gradlint.semantics.module_class import Attribute, AttributeKind, ModuleClass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.names import Names
    from gradlint.semantics.flows import Links
    from gradlint.semantics.layer_values import Items, LayerValues
    from gradlint.walk import Tree

_HOLDING = frozenset({AttributeKind.LAYER, AttributeKind.OPAQUE})
_WALKED = frozenset({"children", "values"})
_BRANCHING: Final[frozenset[type[cst.CSTNode]]] = frozenset({cst.If, cst.For, cst.While, cst.Try, cst.Match})
_NEAREST: Final = _BRANCHING | {cst.FunctionDef}


class RegisteredLayers:
    """The attributes of a class and its bases in this file, nearest first, as far as each is set in one place.

    `given` are the literal arguments that an instance was made with.
    """

    def __init__(
        self,
        tree: Tree,
        names: Names,
        values: LayerValues,
        lineage: list[ModuleClass],
        given: Environment | None = None,
    ) -> None:
        self._tree, self._names, self._values, self._lineage, self._given = tree, names, values, lineage, given or {}

    def method(self, name: str) -> cst.FunctionDef | None:
        """The method of a name."""
        return next((one.methods[name] for one in self._lineage if name in one.methods), None)

    def function(self, name: str) -> str | None:
        """The full name of the function that `self.name` is: `self.act = torch.sigmoid`."""
        found = self._only(name)
        plain = found is not None and isinstance(found.value, (cst.Name, cst.Attribute))
        return self._names.full_name(found.value) if plain and found is not None and found.value is not None else None

    def layer(self, name: str) -> Links | None:
        """The links of the layer `self.name`; None when it depends on anything."""
        found = self._only(name)
        if found is None:
            return self._computed.get(name) if not any(name in one.attributes for one in self._lineage) else None
        if found.kind not in _HOLDING or not isinstance(found.value, (cst.Call, cst.Name)):
            return None
        if isinstance(found.node, cst.Attribute) and self._values.grown.holds(found.node):
            items = self._values.filled(found.node, self._known(found))
            return None if items is None else tuple(link for links in items for link in links)
        return self._values.layer(found.value, self._known(found))

    def is_parameter(self, value: cst.CSTNode) -> bool:
        """Whether an expression is a parameter of the class: `self.weight`, also transposed."""
        if isinstance(value, cst.Attribute) and value.attr.value in ("T", "mT"):
            value = value.value
        name = self._names.self_attribute(value)
        found = self._only(name) if name is not None else None
        return found is not None and found.kind is AttributeKind.PARAMETER

    def keyed(self, value: cst.BaseExpression, key: object) -> Links | None:
        """The links of `self.name[key]` in a literal ModuleDict."""
        name = self._names.self_attribute(value)
        found = self._only(name) if name is not None else None
        given = found.value.args if found is not None and isinstance(found.value, cst.Call) else ()
        literal = given[0].value if len(given) == 1 else None
        for element in literal.elements if isinstance(literal, cst.Dict) else ():
            if isinstance(element, cst.DictElement) and constant(element.key, self._names) == key:
                return self._values.layer(element.value, self._given)
        return None

    def items(self, value: cst.BaseExpression, numbers: Environment) -> Items | None:
        """The links of each layer in the list `self.name`, in a slice of it, or in a tuple of layers."""
        if isinstance(value, cst.Subscript):
            inner = self.items(value.value, numbers)
            only = value.slice[0].slice if len(value.slice) == 1 else None
            cut = slice_of(only, self._names, numbers)
            return None if inner is None or cut is None else inner[cut]
        if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and not value.args:
            return self.items(value.func.value, numbers) if value.func.attr.value in _WALKED else None
        if isinstance(value, (cst.Tuple, cst.List)):
            names = [self._names.self_attribute(element.value) for element in value.elements]
            found = [layer for name in names if name is not None and (layer := self.layer(name)) is not None]
            return found if found and len(found) == len(names) else None
        name = self._names.self_attribute(value)
        return self._listed(name) if name is not None else None

    def _listed(self, name: str) -> Items | None:
        found = self._only(name)
        if found is None or found.value is None:
            return None
        if isinstance(found.node, cst.Attribute) and self._values.grown.holds(found.node):
            return self._values.filled(found.node, self._known(found))
        return self._values.items(found.value, self._known(found))

    def rounds(self, value: cst.BaseExpression, numbers: Environment) -> tuple[object, ...] | None:
        """What a loop runs through: layers (as `Made`), literal values, or both together."""
        items = self.items(value, numbers)
        if items is not None:
            return tuple(map(Made, items))
        if isinstance(value, cst.Call) and value.args and not any(given.star or given.keyword for given in value.args):
            called = self._names.full_name(value.func)
            several = [self.rounds(given.value, numbers) for given in value.args]
            known = [each for each in several if each is not None]
            if called == "builtins.range":
                return self._range(value, numbers)
            if len(known) < len(several):
                return None
            if called == "builtins.zip":
                return tuple(zip(*known, strict=False))
            if called == "builtins.enumerate":
                return tuple(enumerate(known[0]))
            return known[0][::-1] if called == "builtins.reversed" else None
        return iterated(value, self._names, numbers)

    def _range(self, call: cst.Call, numbers: Environment) -> tuple[object, ...] | None:
        """`range(len(self.layers))`, also less one."""
        literal = iterated(call, self._names, numbers)
        if literal is not None or len(call.args) != 1:
            return literal
        count = self.number(call.args[0].value, numbers)
        return tuple(range(count)) if isinstance(count, int) and 0 <= count <= LONGEST else None

    def number(self, value: cst.BaseExpression, numbers: Environment) -> object:
        """A literal value, where `len(self.layers)` is one, too."""
        if isinstance(value, cst.Call) and self._names.full_name(value.func) == "builtins.len" and len(value.args) == 1:
            items = self.items(value.args[0].value, numbers)
            if items is not None:
                return len(items)
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Subtract):
            left, right = self.number(value.left, numbers), self.number(value.right, numbers)
            return left - right if isinstance(left, int) and isinstance(right, int) else UNKNOWN
        return constant(value, self._names, numbers)

    def holds(self, test: cst.BaseExpression, numbers: Environment) -> bool | None:
        """Whether a comparison of literal numbers and lengths is true; None when it cannot be known."""
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            value = constant(test, self._names, numbers)
            return value if isinstance(value, bool) else None
        (against,) = test.comparisons
        left, right = self.number(test.left, numbers), self.number(against.comparator, numbers)
        return compared(left, against.operator, right)

    def _known(self, found: Attribute) -> Environment:
        return self._given if found.name in self._lineage[0].attributes else {}

    def _only(self, name: str) -> Attribute | None:
        owner = next((one for one in self._lineage if name in one.attributes), None)
        found = owner.attribute(name) if owner is not None else None
        return None if found is None or self._is_conditional(found.node) else found

    def _is_conditional(self, node: cst.CSTNode) -> bool:
        nearest = next((above for above, _, _ in self._tree.climb(node, _NEAREST)), None)
        return type(nearest) in _BRANCHING

    @cached_property
    def _computed(self) -> dict[str, Links]:
        """The layers that `__init__` registers under computed names, in loops over literals."""
        made = self._lineage[0].methods.get("__init__")
        found: dict[str, Links] = {}
        if made is not None and isinstance(made.body, cst.IndentedBlock):
            self._register(made.body.body, dict(self._given), found)
        return found

    def _register(self, block: Iterable[cst.CSTNode], known: dict[str, object], found: dict[str, Links]) -> None:
        for statement in block:
            if isinstance(statement, cst.For) and isinstance(statement.body, cst.IndentedBlock):
                for value in (iterated(statement.iter, self._names, known) or ())[:LONGEST]:
                    known.update(bound(statement.target, value) or {})
                    self._register(statement.body.body, known, found)
            for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
                call = small.value if isinstance(small, cst.Expr) else None
                if isinstance(call, cst.Call):
                    self._register_call(call, known, found)

    def _register_call(self, call: cst.Call, known: Environment, found: dict[str, Links]) -> None:
        given = [each.value for each in call.args]
        if isinstance(call.func, cst.Name) and call.func.value == "setattr" and given:
            owner, given = given[0], given[1:]
        elif isinstance(call.func, cst.Attribute) and call.func.attr.value in ("add_module", "register_module"):
            owner = call.func.value
        else:
            return
        name = constant(given[0], self._names, known) if len(given) == 2 else UNKNOWN
        if isinstance(name, str) and self._names.self_class(owner) is not None:
            found[name] = self._values.layer(given[1], known)
