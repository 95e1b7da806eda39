"""Follows tensors through `forward`: which layers the input passes, in which order, up to each returned value.

A flow is the tuple of links that a value has passed. Straight lines, calls of registered layers, functions and tensor
methods of torch, sums with an earlier value of the same flow (skip connections), loops over ModuleLists and literal
ranges and calls of other methods are followed. Where anything is unknown, the flow ends in an opaque link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import UNKNOWN, Environment, bound, constant, number
from gradlint.semantics.flows import LONGEST, Links, maximal, opaque, operands, shared, summed, through
from gradlint.semantics.layer_values import LayerValues, Made, link_of
from gradlint.semantics.layers import Link, LinkKind, function_kind, method_kind
from gradlint.semantics.registered import RegisteredLayers
from gradlint.walk import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlint.names import Names
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses

_DEEPEST_CALL = 5


class ForwardTrace:
    """The flows through one class: `run` gives them, `returned` then holds those that `forward` returns."""

    def __init__(
        self,
        tree: Tree,
        names: Names,
        classes: ModuleClasses,
        values: LayerValues,
        owner: ModuleClass,
        given: Environment | None = None,
    ) -> None:
        self._tree, self._names, self._classes, self._values = tree, names, classes, values
        self._lineage = classes.lineage(owner)
        self._registered = RegisteredLayers(tree, names, values, self._lineage, given)
        self._flows: dict[str, Links] = {}
        self._layers: dict[str, Links] = {}
        self._numbers: dict[str, object] = {}
        self._depth = 0
        self._bypassed: set[Link] = set()
        self.returned: list[Links] = []
        self.ended: list[Links] = []

    def run(self, function: cst.FunctionDef) -> tuple[Links, ...]:
        """Follow the first argument of a method; the maximal flows, without those that are only a part of another."""
        parameters = [*function.params.posonly_params, *function.params.params][1:]
        for index, parameter in enumerate(parameters):
            self._flows[parameter.name.value] = () if index == 0 else opaque(parameter)
        self._block(function.body)
        flows = [*self.returned, *self.ended, *self._flows.values()]
        return maximal(flow for flow in flows if self._bypassed.isdisjoint(flow))

    # Statements

    def _block(self, suite: cst.BaseSuite) -> bool:
        """Run a block; True when it certainly leaves the function."""
        for statement in suite.body:
            if isinstance(statement, cst.SimpleStatementLine):
                left = [self._simple(small) for small in statement.body]
                if any(left):
                    return True
            elif self._compound(statement):
                return True
        return False

    def _simple(self, small: cst.CSTNode) -> bool:
        if type(small) is cst.Assign:  # most of a method
            self._assign([target.target for target in small.targets], small.value)
            return False
        if isinstance(small, cst.Return):
            if small.value is not None:
                self.returned += self._results(small.value)
            return True
        if type(small) is cst.Expr:
            self.ended.append(self.flow(small.value))
        elif isinstance(small, cst.AnnAssign) and small.value is not None:
            self._assign([small.target], small.value)
        elif isinstance(small, cst.AugAssign):
            self._augment(small)
        elif isinstance(small, cst.Del):
            self._forget(small)
        return isinstance(small, (cst.Raise, cst.Continue, cst.Break))

    def _results(self, value: cst.BaseExpression) -> list[Links]:
        if isinstance(value, cst.Tuple):
            return [self.flow(element.value) for element in value.elements]
        return [self.flow(value)]

    def _assign(self, targets: Sequence[cst.BaseExpression], value: cst.BaseExpression) -> None:
        layer = self._layer(value)
        flow = () if layer is not None else self.flow(value)
        for target in targets:
            if not isinstance(target, cst.Name):
                self.ended.append(flow)
                self._forget(target)
                continue
            self._drop(target.value)
            if layer is not None:
                self._layers[target.value] = layer
            else:
                self._flows[target.value] = flow

    def _augment(self, small: cst.AugAssign) -> None:
        if not isinstance(small.target, cst.Name):
            self.ended.append(self.flow(small.value))
            return
        name = small.target.value
        before, added = self.flow(small.target), self.flow(small.value)
        self._drop(name)
        if isinstance(small.operator, cst.AddAssign):
            self._flows[name] = self._summed(before, added, small, small.value)
        else:
            self._flows[name] = opaque(small)

    def _compound(self, statement: cst.CSTNode) -> bool:
        if isinstance(statement, cst.If):
            return self._branch(statement)
        if isinstance(statement, cst.With):
            return self._block(statement.body)
        if isinstance(statement, cst.For) and self._loop(statement):
            return False
        self._forget(statement)
        return False

    def _branch(self, statement: cst.If) -> bool:
        taken = self._registered.holds(statement.test, self._numbers)
        if taken is not None:
            other = statement.orelse
            if taken:
                return self._block(statement.body)
            return self._branch(other) if isinstance(other, cst.If) else other is not None and self._block(other.body)
        before = dict(self._flows), dict(self._layers)
        first_leaves = self._block(statement.body)
        first = self._flows, self._layers
        self._flows, self._layers = before
        orelse = statement.orelse
        if isinstance(orelse, cst.If):
            second_leaves = self._branch(orelse)
        else:
            second_leaves = orelse is not None and self._block(orelse.body)
        if second_leaves and not first_leaves:
            self._flows, self._layers = first
        elif not first_leaves and not second_leaves:
            self._flows = self._merged(first[0], self._flows, statement)
            self._layers = {name: links for name, links in self._layers.items() if first[1].get(name) is links}
        return first_leaves and second_leaves

    def _merged(self, first: dict[str, Links], second: dict[str, Links], node: cst.CSTNode) -> dict[str, Links]:
        merged: dict[str, Links] = {}
        for name in {**first, **second}:
            one, other = first.get(name), second.get(name)
            if one is not None and other is not None and len(one) == len(other) == shared(one, other):
                merged[name] = one
            else:
                self.ended += [flow for flow in (one, other) if flow]
                merged[name] = opaque(node)
        return merged

    def _loop(self, loop: cst.For) -> bool:
        """Unroll a loop over layers or literal numbers; False when it cannot be."""
        leaves = any(self._tree.below(loop.body, kind) for kind in (cst.Break, cst.Continue, cst.Return))
        rounds = self._registered.rounds(loop.iter, self._numbers)
        if rounds is None or bound(loop.target, UNKNOWN) is None or loop.orelse is not None or leaves:
            return False
        names: dict[str, object] = {}
        for value in rounds[:LONGEST]:
            names = bound(loop.target, value) or {}
            for name, each in names.items():
                self._drop(name)
                if isinstance(each, Made):
                    self._layers[name] = each.links
                else:
                    self._numbers[name] = each
            self._block(loop.body)
        for name in names:
            self._numbers.pop(name, None)
        return True

    def _forget(self, node: cst.CSTNode) -> None:
        """Everything that a statement not followed may change is unknown afterwards; it may run its calls."""
        for name in {below.value for below in self._tree.below(node, cst.Name)}:
            if name in self._flows or name in self._layers:
                self._drop(name)
                self._flows[name] = opaque(node)

    def _drop(self, name: str) -> None:
        if flow := self._flows.pop(name, None):
            self.ended.append(flow)
        self._layers.pop(name, None)
        self._numbers.pop(name, None)

    # Expressions

    def flow(self, value: cst.CSTNode) -> Links:
        """The links that a value has passed."""
        if type(value) is cst.Name:
            return self._flows[value.value] if value.value in self._flows else opaque(value)
        if type(value) is cst.Call:
            return self._call(value)
        if isinstance(value, cst.BinaryOperation) and self._registered.is_parameter(value.right):
            if isinstance(value.operator, cst.MatrixMultiply):
                return through(self.flow(value.left), Link(LinkKind.LINEAR, value, "torch.matmul"))
            if isinstance(value.operator, cst.Add):
                return self.flow(value.left)
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
            return self._summed(self.flow(value.left), self.flow(value.right), value, value.left, value.right)
        if isinstance(value, cst.NamedExpr):
            self._assign([value.target], value.value)
            return self.flow(value.target)
        if isinstance(value, cst.Subscript):
            return through(self.flow(value.value), Link(LinkKind.RESHAPE, value))
        # Not followed, but what goes in has come this far.
        self.ended += [self.flow(below) for below in operands(value)]
        return opaque(value)

    def _call(self, call: cst.Call) -> Links:
        entering = self._entering(call)
        if entering is None:
            self.ended += [self.flow(given.value) for given in call.args]
            return opaque(call)
        own = self._names.self_attribute(call.func)
        if own is not None and function_kind(self._registered.function(own) or "") is not None:
            layer = None
        else:
            layer = self._layer(call.func)
        if layer is not None:
            self.ended += [self.flow(given.value) for given in call.args if given.value is not entering]
            return through(self.flow(entering), *(link.again() for link in layer))
        name = self._registered.function(own) if own is not None else self._names.full_name(call.func)
        kind = function_kind(name) if name else None
        if kind is not None and name is not None:
            return through(self.flow(entering), link_of(call, name, kind, self._names, self._numbers))
        return self._method(call, entering)

    def _method(self, call: cst.Call, entering: cst.BaseExpression) -> Links:
        own = self._names.self_attribute(call.func)
        if own is not None:
            return self._inlined(own, call, entering)
        if isinstance(call.func, cst.Attribute) and entering is call.func.value:
            kind = method_kind(call.func.attr.value)
            before = self.flow(entering)
            if kind is not None:
                name = f"torch.Tensor.{call.func.attr.value}"
                return through(before, Link(kind[0], call, name, kind[1]))
            self.ended.append(before)
        self.ended += [self.flow(given.value) for given in call.args]
        return opaque(call)

    def _entering(self, call: cst.Call) -> cst.BaseExpression | None:
        """The expression whose value enters the call: the tensor of a method, else the first argument."""
        function = call.func
        if isinstance(function, cst.Attribute) and self._is_tensor(function.value):
            return function.value
        for given in call.args[:1]:
            if not given.star and (given.keyword is None or given.keyword.value == "input"):
                return given.value
        return None

    def _is_tensor(self, value: cst.BaseExpression) -> bool:
        if isinstance(value, cst.Name):
            return value.value in self._flows
        return isinstance(value, (cst.Call, cst.BinaryOperation, cst.Subscript)) and self._layer(value) is None

    def _inlined(self, name: str, call: cst.Call, entering: cst.BaseExpression) -> Links:
        method = self._registered.method(name)
        flow = self.flow(entering)
        if method is None or self._depth >= _DEEPEST_CALL or len(call.args) != 1 or method.decorators:
            self.ended.append(flow)
            return opaque(call)
        saved = self._flows, self._layers, self._numbers, self.returned
        self._flows, self._layers, self._numbers, self.returned = {}, {}, {}, []
        for index, parameter in enumerate([*method.params.posonly_params, *method.params.params][1:]):
            self._flows[parameter.name.value] = flow if index == 0 else opaque(parameter)
        self._depth += 1
        self._block(method.body)
        self._depth -= 1
        results = self.returned
        self._flows, self._layers, self._numbers, self.returned = saved
        if len(results) == 1:
            return results[0]
        self.ended += results
        return opaque(call)

    def _summed(self, one: Links, other: Links, node: cst.CSTNode, *terms: cst.BaseExpression) -> Links:
        shifted = any(number(term, self._names, self._numbers) is not None for term in terms)
        together = None if shifted else summed(one, other, node)
        if together is None:
            self.ended += [one, other]
            return opaque(node)
        longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
        fork = shared(one, other)
        if len(shorter) == fork:
            # What a skip connection leads around is no chain of its own any more.
            self._bypassed.update(longer[fork:])
        else:
            self.ended.append(shorter)
        return together

    # Layers

    def _layer(self, value: cst.CSTNode) -> Links | None:
        """The links of an expression that is a layer, not a tensor: `self.fc`, a loop's layer, `nn.ReLU()`."""
        # Asked of every expression: `isinstance` would call Python for each class that it is not of.
        if type(value) is cst.Name:
            return self._layers.get(value.value)
        if type(value) is cst.Attribute:
            name = self._names.self_attribute(value)
            if name is None or self._registered.method(name) is not None:
                return None
            return self._registered.layer(name) or opaque(value)
        if type(value) is cst.Subscript:
            return self._element(value)
        if type(value) is cst.Call:
            called = self._names.full_name(value.func)
            if called == "builtins.getattr":
                return self._by_name(value)
            return self._values.layer(value) if self._classes.is_module(called) else None
        return None

    def _by_name(self, call: cst.Call) -> Links:
        """`getattr(self, f"fc{i}")`."""
        given = [each.value for each in call.args]
        name = constant(given[1], self._names, self._numbers) if len(given) == 2 else None
        own = isinstance(name, str) and self._names.self_class(given[0]) is not None
        return (self._registered.layer(name) if own and isinstance(name, str) else None) or opaque(call)

    def _element(self, value: cst.Subscript) -> Links | None:
        items = self._registered.items(value.value, self._numbers)
        only = value.slice[0].slice if len(value.slice) == 1 else None
        key = constant(only.value, self._names, self._numbers) if isinstance(only, cst.Index) else None
        if isinstance(key, str):
            return self._registered.keyed(value.value, key)
        index = key if isinstance(key, int) else None
        if items is None or index is None or not -len(items) <= index < len(items):
            return None
        return items[index]
