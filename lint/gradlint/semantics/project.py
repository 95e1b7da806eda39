"""What the files of a project say to each other: their classes, bases, functions and re-exports.

Files are named by dotted module names; `resolve` follows a full name through re-exports to where the thing is defined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gradlint.semantics.outline import NOTHING, Outline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gradlint.semantics.class_facts import ClassFacts
    from gradlint.semantics.file_facts import FileFacts

_LONGEST_WAY: Final = 50  # re-exports of re-exports


def _never(_: str) -> bool:
    return False


def _nothing(_: str) -> Outline:
    return NOTHING


@dataclass(frozen=True)
class ProjectIndex:
    """The files of a project by module name, as one of them sees the others.

    `home` is the module that asks: what it defines itself is not looked for in the packages above it. `gives` says
    whether a file gives a name to an object from outside, as `model.temp = 1` does. `outline` tells of a module, where
    it can, what is asked for most without reading all of its facts.
    """

    files: Mapping[str, FileFacts] = field(default_factory=dict)
    home: str | None = None
    gives: Callable[[str], bool] = _never
    outline: Callable[[str], Outline] = _nothing

    @classmethod
    def of(cls, facts: Iterable[FileFacts]) -> ProjectIndex:
        """Index the facts of files."""
        return cls({file.module: file for file in facts})

    def resolve(self, name: str) -> str:
        """The name of the same thing where it is defined; unchanged when no file of the project re-exports it.

        A package that offers a function under the name of the function's module (`from .roi import roi`) does not make
        `pkg.roi.roi` a re-export of itself, and files that import from each other in a circle define nothing.
        """
        asked = name
        for _ in range(_LONGEST_WAY):
            below = self._step(name)
            if below == name or below.startswith(f"{name}."):
                return name
            name = below
        return asked

    def _step(self, name: str) -> str:
        module, rest = self._split(name)
        if module is None or not rest:
            return name
        first, _, below = rest.partition(".")
        if first in self.outline(module).defined:
            return name
        file = self.files[module]
        if first in file.classes or first in file.functions:
            return name
        if first in file.imports:
            return ".".join(filter(None, (file.imports[first], below)))
        for origin in file.star_imports:
            if origin in self.files and self._defines(origin, first):
                return ".".join(filter(None, (origin, rest)))
        return name

    def _defines(self, module: str, name: str) -> bool:
        file = self.files[module]
        return name in file.classes or name in file.functions or name in file.imports

    def _split(self, name: str) -> tuple[str | None, str]:
        module = name
        while module not in self.files:
            module = module.rpartition(".")[0] if module != self.home else ""
            if not module:
                return None, name
        return module, name[len(module) + 1 :]

    def find_class(self, name: str) -> ClassFacts | None:
        """The class of a full name, through re-exports."""
        module, rest = self._split(self.resolve(name))
        if module is None or rest in self.outline(module).functions:
            return None
        return self.files[module].classes.get(rest)

    def find_init(self, name: str) -> tuple[str, Mapping[str, str]] | None:
        """The text of the init function of a full name, and the imports of its file."""
        module, rest = self._split(self.resolve(name))
        if module is None or not self.outline(module).fills or rest not in self.files[module].inits:
            return None
        return self.files[module].inits[rest], self.files[module].imports

    def gradient_words(self, name: str) -> tuple[str, ...] | None:
        """What the function of a full name says of gradients; None where it is no function of the project."""
        module, rest = self._split(self.resolve(name))
        if module is None or rest not in self.files[module].functions:
            return None
        return self.files[module].gradient_words.get(rest, ())
