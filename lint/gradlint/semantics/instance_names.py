"""Which attributes the instances of a class have, through all bases, in this file and in others.

Unknown is the answer wherever a base cannot be resolved, where names are computed, or where `self` is handed to code
that may give it more.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import libcst as cst

from gradlint.semantics.class_contents import class_contents

if TYPE_CHECKING:
    from gradlint.names import Names
    from gradlint.semantics.class_facts import ClassFacts
    from gradlint.semantics.module_class import ModuleClass, ModuleClasses
    from gradlint.walk import Tree

_PLAIN: Final = frozenset({"builtins.object", "abc.ABC", "typing.Generic"})
_MODULE: Final = "torch.nn.Module"


class InstanceNames:
    """Answers for one file."""

    def __init__(self, tree: Tree, names: Names, classes: ModuleClasses) -> None:
        self._tree, self._names, self._classes = tree, names, classes
        self._facts: dict[ModuleClass, ClassFacts] = {}

    def own(self, owner: ModuleClass) -> frozenset[str] | None:
        """The names that a class and its bases give, without those of `nn.Module`; None when they cannot be known."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [self._contents(owner)]
        while waiting:
            facts = waiting.pop()
            if facts.dynamic:
                return None
            found |= facts.attributes | facts.names
            for base in facts.bases:
                if base in _PLAIN or base == _MODULE or base in seen:
                    continue
                several = self._of(base) if base is not None else ()
                if not several or base is None:
                    return None
                seen.add(base)
                waiting += several
        return frozenset(found)

    def _contents(self, one: ModuleClass) -> ClassFacts:
        if one not in self._facts:
            self._facts[one] = class_contents(one, self._names)
        return self._facts[one]

    def _of(self, name: str) -> list[ClassFacts]:
        """The classes of a full name: a notebook may write one anew in each cell."""
        own = [self._contents(one) for one in self._classes.all if one.name == name]
        elsewhere = None if own else self._classes.project.find_class(name)
        return [elsewhere] if elsewhere is not None else own

    def below(self, owner: ModuleClass) -> frozenset[str]:
        """The names that the classes of this file give that inherit from a class."""
        heirs = [one for one in self._classes.all if one is not owner and owner in self._classes.lineage(one)]
        facts = [self._contents(one) for one in heirs]
        return frozenset().union(*(one.attributes | one.names for one in facts))

    @cached_property
    def mentioned(self) -> frozenset[str]:
        """The attributes that the file sets on anything, and its strings: any of them may give a name to anything."""
        found = {_text(each) for each in self._tree.nodes(cst.SimpleString)}
        targets: list[cst.CSTNode] = [each.target for each in self._tree.nodes(cst.AssignTarget)]
        targets += [each.target for each in self._tree.nodes(cst.AnnAssign)]
        targets += [each.target for each in self._tree.nodes(cst.AugAssign)]
        targets += [each.target for each in self._tree.nodes(cst.For)]
        targets += [each.name for each in self._tree.nodes(cst.AsName)]
        while targets:
            target = targets.pop()
            if isinstance(target, cst.Attribute):
                found.add(target.attr.value)
            elif isinstance(target, (cst.Tuple, cst.List)):
                targets += [element.value for element in target.elements]
        keywords = {each.keyword.value for each in self._tree.nodes(cst.Arg) if each.keyword is not None}
        return frozenset(one for one in found if isinstance(one, str)) | (
            keywords if self._sets_many() else frozenset()
        )

    def _sets_many(self) -> bool:
        """Whether the file makes attributes of keywords: `__dict__.update(x=1)`, mocks."""
        return any(self._tree.named(word) for word in ("__dict__", "mock", "Mock"))


def _text(string: cst.SimpleString) -> str | bytes:
    """What a string says; without an escape in it that is what stands between its quotes, with no need to compile."""
    return string.evaluated_value if "\\" in string.value else string.raw_value
