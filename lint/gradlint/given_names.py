"""Whether a file of the project gives a name to an object from outside: `model.temp = 1`, `setattr(m, "temp", 1)`.

No file is parsed for that: the bytes of all of them are searched, once a run, and only if a rule is about to report.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from gradlint.triggers import code_of

_SUFFIXES: Final = (".py", ".ipynb", ".md")
_MOST_FILES: Final = 10_000  # beyond, nothing is known
_MOST_BYTES: Final = 4_000_000
_BARREN: Final = 2  # folders below one another without any such file: what is deeper down is data
_SKIPPED: Final = frozenset(("__pycache__", "build", "dist", "node_modules", "site-packages", "venv"))
# On `self` it is the class's own, and a class that lacks it is what the question is about. Notebooks escape quotes.
_GIVING: Final = re.compile(
    rb"(?<!\bself)\.(\w+)\s*(?::[^=\n]+)?=(?!=)"
    rb"|\b(?:setattr|__setattr__|register_\w+|add_module)\s*\([^()\"']*[\"'](\w+)\\?[\"']"
)


class GivenNames:
    """The names given in the files below a folder."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._places: dict[str, list[str]] | None = None
        self._is_known = True

    def has(self, name: str, besides: str) -> bool:
        """Whether a file other than `besides` may give a name; True where there are too many files to tell."""
        if self._places is None:
            self._places = self._read()
        places = self._places.get(name, ())
        return not self._is_known or any(path != besides and _gives(path, name) for path in places)

    def _read(self) -> dict[str, list[str]]:
        places: dict[str, list[str]] = {}
        files = _files(self._top)
        self._is_known = len(files) <= _MOST_FILES
        for path in files if self._is_known else ():
            for name in _names(_bytes(path)):
                places.setdefault(name, []).append(path)
        return places


def _files(top: str) -> list[str]:
    """The files of a project, as far as they are read."""
    found: list[str] = []
    waiting = [(top, 0)]
    while waiting and len(found) <= _MOST_FILES:
        folder, barren = waiting.pop()
        files, folders = _listing(folder)
        if folder != top and "pyvenv.cfg" in files:
            continue
        read = [f"{folder}{os.sep}{name}" for name in files if name.endswith(_SUFFIXES)]
        found += read
        barren = 0 if read else barren + 1
        waiting += [(f"{folder}{os.sep}{name}", barren) for name in folders if barren <= _BARREN]
    return found


def _listing(folder: str) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders to look into, those behind links not among them."""
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    files.append(entry.name)
    except OSError:
        pass
    return files, [name for name in folders if not name.startswith(".") and name not in _SKIPPED]


def _bytes(path: str) -> bytes:
    try:
        data = Path(path).read_bytes()
    except OSError:
        return b""
    return data if len(data) <= _MOST_BYTES else b""


def _names(data: bytes) -> set[str]:
    return {(assigned or told).decode() for assigned, told in _GIVING.findall(data)}


def _gives(path: str, name: str) -> bool:
    """Whether the code of a file gives the name, and not only its documentation or a comment."""
    data = _bytes(path)
    return name in _names(code_of(data) if path.endswith(".py") else data)
