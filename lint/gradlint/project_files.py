"""The files around a linted file, found by module name when a name of theirs is asked for.

Nothing is indexed ahead, so a file's result does not depend on which other files are linted. What was asked for is
recorded with a digest of the answer: a cached result holds as long as all of them are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from gradlint.errors import UnreadableFile
from gradlint.given_names import GivenNames
from gradlint.semantics.file_facts import FileFacts, file_facts
from gradlint.semantics.outline import NOTHING, Outline, outline
from gradlint.source import Source

_INSTALLED = ("site-packages", "dist-packages")
_MAX_BYTES = 4_000_000
# What was asked for instead of a module's facts: before a name, whether it is given; before a module, its outline.
GIVEN: Final = "."
OUTLINE: Final = ":"


@dataclass(frozen=True)
class Place:
    """Where a file stands: its dotted name, the folders its imports are looked for in, its project, its path."""

    module: str
    is_package: bool
    roots: tuple[str, ...]
    project: str
    path: str

    @cached_property
    def is_installed(self) -> bool:
        """Whether it stands among the packages of an environment."""
        return Path(self.roots[0]).name in _INSTALLED

    @property
    def surroundings(self) -> str:
        """The folder whose files may know this one: its package in an environment, else its project."""
        if self.is_installed:
            return f"{self.roots[0]}{os.sep}{self.module.partition('.')[0]}"
        return self.project


class Folders:
    """What is in folders, each listed once a run."""

    def __init__(self) -> None:
        self._listed: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def __call__(self, folder: str) -> tuple[frozenset[str], frozenset[str]]:
        """The names of the files and of the folders in a folder; nothing where it cannot be listed."""
        if folder not in self._listed:
            self._listed[folder] = _listing(folder)
        return self._listed[folder]


def _listing(folder: str) -> tuple[frozenset[str], frozenset[str]]:
    files: set[str] = set()
    folders: set[str] = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir() else files).add(entry.name)
    except OSError:
        pass
    return frozenset(files), frozenset(folders)


def place_of(path: Path, project: Path, folders: Folders) -> Place:
    """Where a file stands: in the package around it, else in its project's folders.

    Notebooks and Markdown are no modules; they import as if run in their folder.
    """
    if path.suffix not in (".py", ""):
        around = [path.parent, project, project / "src"]
        return Place("__main__", False, tuple(dict.fromkeys(map(str, around))), str(project), str(path))
    is_package = path.stem == "__init__"
    parts = [] if is_package else [path.stem]
    top = path.parent
    while "__init__.py" in folders(str(top))[0] and top != top.parent:
        parts.insert(0, top.name)
        top = top.parent
    if top == path.parent and path.is_relative_to(project):
        parts = list(path.relative_to(project).with_suffix("").parts)
        if not all(map(str.isidentifier, parts)):
            parts = parts[-1:]
    roots = [top] if top.name in _INSTALLED else [top, project, project / "src"]
    module = ".".join(parts) or top.name
    return Place(module, is_package, tuple(dict.fromkeys(map(str, roots))), str(project), str(path))


class FactsStore:
    """The facts of files by place and module, each read once; `known` maps content keys to digests from the cache."""

    def __init__(self, folders: Folders | None = None) -> None:
        self._listing = folders or Folders()
        self._tops: dict[tuple[tuple[str, ...], str], str | None] = {}
        self._found: dict[tuple[tuple[str, ...], str], tuple[str, bool] | None] = {}
        self._bytes: dict[str, tuple[str, bytes] | None] = {}
        self._facts: dict[tuple[str, str], FileFacts] = {}
        self._outlines: dict[str, Outline] = {}
        self._given: dict[str, GivenNames] = {}
        self.known: dict[str, str] = {}

    def find(self, roots: tuple[str, ...], module: str) -> tuple[str, bool] | None:
        """The path of a module, and whether it is a package."""
        key = (roots, module)
        if key not in self._found:
            self._found[key] = next(filter(None, (self._find(root, module) for root in roots)), None)
        return self._found[key]

    def top(self, roots: tuple[str, ...], name: str) -> str | None:
        """What there is of a top-level name: a file, a folder, or nothing."""
        key = (roots, name)
        if key not in self._tops:
            listed = [self._listing(root) for root in roots]
            is_folder = any(name in folders for _, folders in listed)
            self._tops[key] = (
                "folder" if is_folder else "file" if any(f"{name}.py" in one for one, _ in listed) else None
            )
        return self._tops[key]

    def _find(self, root: str, module: str) -> tuple[str, bool] | None:
        *above, last = module.split(".")
        folder = root
        for part in above:
            if part not in self._listing(folder)[1]:
                return None
            folder = f"{folder}{os.sep}{part}"
        files, folders = self._listing(folder)
        if last in folders and "__init__.py" in self._listing(f"{folder}{os.sep}{last}")[0]:
            return f"{folder}{os.sep}{last}{os.sep}__init__.py", True
        return (f"{folder}{os.sep}{last}.py", False) if f"{last}.py" in files else None

    def digest(self, place: Place, module: str) -> str | None:
        """What a module's facts are, in short; None where there is no such module.

        Of `:module` it is the outline, of `.name` whether it is given.
        """
        if module.startswith(GIVEN):
            return "given" if self.gives(place, module[len(GIVEN) :]) else None
        asked, module = module, module.removeprefix(OUTLINE)
        found = None if _is_foreign(place, module) else self.find(place.roots, module)
        read = self._read(found[0]) if found else None
        if found is None or read is None:
            return None if "." in module else self.top(place.roots, module)
        key = f"{read[0]}:{asked}:{found[1]:d}"
        if key not in self.known:
            is_outline = asked != module
            said = _shown(self.outline(place, module)) if is_outline else _said(self.facts(place, module))
            self.known[key] = hashlib.sha256(said.encode(errors="replace")).hexdigest()[:16]
        return self.known[key]

    def gives(self, place: Place, name: str) -> bool:
        """Whether another file around a place gives a name to an object from outside."""
        top = place.surroundings
        if top not in self._given:
            self._given[top] = GivenNames(top)
        return self._given[top].has(name, besides=place.path)

    def outline(self, place: Place, module: str) -> Outline:
        """A module's outline; nothing where it cannot be read."""
        found = self.find(place.roots, module)
        read = self._read(found[0]) if found else None
        if found is None or read is None:
            return NOTHING
        if found[0] not in self._outlines:
            self._outlines[found[0]] = _outline(read[1], found[0])
        return self._outlines[found[0]]

    def facts(self, place: Place, module: str) -> FileFacts:
        """A module's facts; empty where they cannot be read."""
        found = self.find(place.roots, module)
        read = self._read(found[0]) if found else None
        if found is None or read is None:
            return FileFacts(module)
        key = (found[0], module)
        if key not in self._facts:
            self._facts[key] = _facts(read[1], found[0], module, is_package=found[1])
        return self._facts[key]

    def _read(self, path: str) -> tuple[str, bytes] | None:
        if path not in self._bytes:
            try:
                data = Path(path).read_bytes()
                self._bytes[path] = (hashlib.sha256(data).hexdigest()[:32], data) if len(data) <= _MAX_BYTES else None
            except OSError:
                self._bytes[path] = None
        return self._bytes[path]


class AskedFiles(Mapping[str, FileFacts]):
    """The modules that one file can see, as `ProjectIndex.files`; remembers what was asked."""

    def __init__(self, store: FactsStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._visible: dict[str, bool] = {}
        self.asked: set[str] = set()

    def __contains__(self, module: object) -> bool:
        if not isinstance(module, str):
            return False
        if module not in self._visible:
            self._visible[module] = self._is_visible(module)
        return self._visible[module]

    def _is_visible(self, module: str) -> bool:
        if module == self._place.module or _is_foreign(self._place, module):
            return False
        top = module.partition(".")[0]
        if self._store.top(self._place.roots, top) is None:
            self.asked.add(top)
            return False
        found = self._store.find(self._place.roots, module) is not None
        self.asked.add(f"{OUTLINE}{module}" if found else module)
        return found

    def __getitem__(self, module: str) -> FileFacts:
        if module not in self:
            raise KeyError(module)
        self.asked.add(module)
        return self._store.facts(self._place, module)

    def outline(self, module: str) -> Outline:
        """What the text of a module that is there shows of it."""
        return self._store.outline(self._place, module)

    def gives(self, name: str) -> bool:
        """Whether a file of the project gives a name to an object from outside."""
        self.asked.add(f"{GIVEN}{name}")
        return self._store.gives(self._place, name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def needs(self) -> dict[str, str | None]:
        """What was asked, each with the digest of its answer."""
        return {module: self._store.digest(self._place, module) for module in sorted(self.asked)}


def _is_foreign(place: Place, module: str) -> bool:
    """torch is known by its own names, and packages installed side by side are not one project."""
    top = module.partition(".")[0]
    if top == "torch":
        return True
    return place.is_installed and top != place.module.partition(".")[0]


def _facts(data: bytes, path: str, module: str, *, is_package: bool) -> FileFacts:
    try:
        source = Source.decode(data, path, module=module, is_package=is_package)
        found = file_facts(source.text, module, is_package=is_package)
        return found if found is not None else _from_libcst(source)
    except (UnreadableFile, RecursionError):
        return FileFacts(module)


def _from_libcst(source: Source) -> FileFacts:
    from gradlint.parse import parse
    from gradlint.semantics.project_cst import unit_facts
    from gradlint.unit import Unit

    return unit_facts(Unit(source, parse(source)))


def _outline(data: bytes, path: str) -> Outline:
    try:
        return outline(Source.decode(data, path).text)
    except UnreadableFile:
        return NOTHING


def _shown(outline: Outline) -> str:
    return repr((sorted(outline.defined), sorted(outline.functions), outline.fills))


def _said(facts: FileFacts) -> str:
    classes = [
        (name, one.name, one.bases, *map(sorted, (one.methods, one.attributes, one.names, one.made)), one.dynamic)
        for name, one in sorted(facts.classes.items())
    ]
    functions = (sorted(facts.functions), sorted(facts.inits.items()), sorted(facts.gradient_words.items()))
    return repr((sorted(facts.imports.items()), facts.star_imports, classes, *functions))
