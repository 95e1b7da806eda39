"""The chains of layers in a file: each way a signal takes through a Sequential or through a class's `forward`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.semantics.forward import ForwardTrace
from gradlint.semantics.layer_values import LayerValues
from gradlint.semantics.layers import Link, LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradlint.names import Names
    from gradlint.semantics.flows import Links
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.walk import Tree


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
        self.values = LayerValues(tree, names)

    @cached_property
    def all(self) -> tuple[Chain, ...]:
        """Every chain with at least one known link; a part of another chain is not listed again."""
        through = [chain for owner in self._classes.modules for chain in self._through(owner)]
        seen = {link.node for chain in through for link in chain.links}
        return (*through, *self._sequentials(seen))

    def of(self, owner: ModuleClass) -> tuple[Chain, ...]:
        """The chains through one class."""
        return tuple(chain for chain in self.all if chain.owner is owner)

    def _through(self, owner: ModuleClass) -> Iterator[Chain]:
        if owner.forward is not None:
            trace = ForwardTrace(self._tree, self._names, self._classes, self.values, owner)
            for links in trace.run(owner.forward):
                yield Chain(links, owner.node, owner)
        elif "torch.nn.Sequential" in owner.bases:
            for call in self._tree.nodes(cst.Call):
                if _is_super_init(call) and self._classes.enclosing(call) is owner:
                    yield Chain(self.values.in_sequence(call), owner.node, owner)

    def _sequentials(self, seen: set[cst.CSTNode]) -> Iterator[Chain]:
        for call in self._tree.nodes(cst.Call):
            if self._names.full_name(call.func) != "torch.nn.Sequential":
                continue
            links = self.values.in_sequence(call)
            known = [link.node for link in links if link.kind is not LinkKind.OPAQUE]
            if known and not seen.issuperset(known):
                seen.update(known)
                yield Chain(links, call)


def _is_super_init(call: cst.Call) -> bool:
    function = call.func
    if not isinstance(function, cst.Attribute) or function.attr.value != "__init__":
        return False
    above = function.value
    return isinstance(above, cst.Call) and isinstance(above.func, cst.Name) and above.func.value == "super"
