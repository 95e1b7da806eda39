"""The chains of layers in a file: each way a signal takes through a Sequential or through a class's `forward`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.constants import UNKNOWN, Environment
from gradlint.semantics.flows import has_opaque, opaque
from gradlint.semantics.forward import ForwardTrace
from gradlint.semantics.inlined import arguments
from gradlint.semantics.layer_values import LayerValues
from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradlint.names import Names
    from gradlint.semantics.flows import Links
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.walk import Tree

_DEEPEST = 5
_MOST_INSTANCES = 3


@dataclass(frozen=True, eq=False)
class Chain:
    """Links in the order the signal passes them; `owner` is the class whose `forward` it is, if it is one.

    `node` is the Sequential call or the class. A loop's layers are written out, once for each time they run.
    """

    links: Links
    node: cst.CSTNode
    owner: ModuleClass | None = None

    def runs(self, breaks: Callable[[Link], bool] | None = None) -> Iterator[Links]:
        """The longest stretches without a breaking link; by default what is unknown, normalised or bypassed breaks."""
        breaks = breaks or _breaks
        run: list[Link] = []
        for link in self.links:
            if not breaks(link):
                run.append(link)
            elif run:
                yield tuple(run)
                run = []
        if run:
            yield tuple(run)


def _breaks(link: Link) -> bool:
    return link.bypassed or link.kind in (LinkKind.OPAQUE, LinkKind.NORM, LinkKind.RESIDUAL)


class LayerChains:
    """All chains of a file: through the classes first, then the Sequentials that no class passes, in text order."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self.values = LayerValues(tree, names, self._inside)
        self._open: list[ModuleClass] = []

    @cached_property
    def all(self) -> tuple[Chain, ...]:
        """Every chain with at least one known link; a part of another chain is not listed again."""
        through = [chain for owner in self._classes.modules for chain in self._through(owner)]
        return (*through, *self._sequentials(through))

    def of(self, owner: ModuleClass) -> tuple[Chain, ...]:
        """The chains through one class."""
        return tuple(chain for chain in self.all if chain.owner is owner)

    def _through(self, owner: ModuleClass) -> Iterator[Chain]:
        if owner.forward is not None:
            yield from (Chain(links, owner.node, owner) for links in self._trace(owner, {}).run(owner.forward))
            for given in self._instances(owner):
                for links in self._trace(owner, given).run(owner.forward):
                    yield Chain(links, owner.node, owner)
        elif "torch.nn.Sequential" in owner.bases:
            for call in self._tree.nodes(cst.Call):
                if _is_super_init(call) and self._classes.enclosing(call) is owner:
                    yield Chain(self.values.in_sequence(call), owner.node, owner)

    def _trace(self, owner: ModuleClass, given: Environment) -> ForwardTrace:
        return ForwardTrace(self._tree, self._names, self._classes, self.values, owner, given)

    def _instances(self, owner: ModuleClass) -> list[Environment]:
        """The different literal arguments that the file makes instances with."""
        made = owner.methods.get("__init__")
        if made is None or len(made.params.params) + len(made.params.kwonly_params) < 2:
            return []
        found: list[Environment] = []
        for call in self._calls_by_name.get(owner.name, ()):
            if len(found) < _MOST_INSTANCES:
                given = arguments(call, made, self._names, {})
                if given is not None and given not in found and any(value is not UNKNOWN for value in given.values()):
                    found.append(given)
        return found

    @cached_property
    def _calls_by_name(self) -> dict[str | None, list[cst.Call]]:
        """The calls of the file by the full name of what they call."""
        found: dict[str | None, list[cst.Call]] = {}
        for call in self._tree.nodes(cst.Call):
            found.setdefault(self._names.full_name(call.func), []).append(call)
        return found

    def _inside(self, call: cst.Call, known: Environment) -> Links:
        """The links inside a module class of this file; opaque unless its one way through is known whole."""
        owner = self._classes.named(self._names.full_name(call.func))
        if owner is None or owner.forward is None or owner in self._open or len(self._open) >= _DEEPEST:
            return opaque(call)
        made = owner.methods.get("__init__")
        given = arguments(call, made, self._names, known) if made is not None else {}
        self._open.append(owner)
        try:
            trace = self._trace(owner, given or {})
            trace.run(owner.forward)
        finally:
            self._open.pop()
        one = trace.returned[0] if len(trace.returned) == 1 else opaque(call)
        return opaque(call) if has_opaque(one) else one

    def _sequentials(self, through: list[Chain]) -> list[Chain]:
        """The Sequentials that no longer chain passes, in text order."""
        calls = self._tree.nodes(cst.Call)
        found = [Chain(self._whole(call), call) for call in calls if self._is_sequential(call) or self._builds(call)]
        passing: dict[cst.CSTNode, list[tuple[int, set[cst.CSTNode]]]] = {}
        for chain in through:
            _note(len(chain.links), {link.node for link in chain.links}, passing)
        kept: set[Chain] = set()
        for chain in sorted(found, key=lambda chain: -len(chain.links)):
            known = {link.node for link in chain.links if link.kind is not LinkKind.OPAQUE}
            others = passing.get(next(iter(known)), ()) if known else ()
            if known and not any(length >= len(chain.links) and nodes >= known for length, nodes in others):
                _note(len(chain.links), known, passing)
                kept.add(chain)
        return [chain for chain in found if chain in kept]

    def _is_sequential(self, call: cst.Call) -> bool:
        return self._names.full_name(call.func) == "torch.nn.Sequential"

    def _whole(self, call: cst.Call) -> Links:
        """The links of a Sequential, with those that are added to its variable later."""
        target = self._tree.parent(call)
        target = target.targets[0].target if isinstance(target, cst.Assign) else None
        if isinstance(target, cst.Name) and self.values.grown.holds(target):
            items = self.values.filled(target)
            return opaque(call) if items is None else tuple(link for links in items for link in links)
        return self.values.layer(call)

    def _builds(self, call: cst.Call) -> bool:
        """Whether a call of the file's own function makes layers, at the top level of the file or a function."""
        above = self._tree.parent(call)
        if type(above) is not cst.Assign or type(call.func) is not cst.Name:
            return False
        if not (self._names.full_name(call.func) or "").startswith(f"{self._names.module}."):
            return False  # no function or class of this file: one layer at most
        links = self.values.layer(call)
        return any(link.kind is not LinkKind.OPAQUE for link in links) and len(links) > 1


def _note(length: int, nodes: set[cst.CSTNode], passing: dict[cst.CSTNode, list[tuple[int, set[cst.CSTNode]]]]) -> None:
    for node in nodes:
        passing.setdefault(node, []).append((length, nodes))


def _is_super_init(call: cst.Call) -> bool:
    function = call.func
    if not isinstance(function, cst.Attribute) or function.attr.value != "__init__":
        return False
    above = function.value
    return isinstance(above, cst.Call) and isinstance(above.func, cst.Name) and above.func.value == "super"
