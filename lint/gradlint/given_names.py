"""Whether a file of the project gives a name to an object from outside: `model.temp = 1`, `setattr(m, "temp", 1)`.

No file is parsed for that: the bytes of all of them are searched, and only for a name that a rule is about to report.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

_MOST_FILES: Final = 10_000  # beyond, nothing is known
_MOST_FOLDERS: Final = 10_000
_SKIPPED: Final = frozenset(("__pycache__", "build", "dist", "node_modules", "site-packages", "venv"))


class GivenNames:
    """The names given in the files below a folder; each is looked for once."""

    def __init__(self, top: str) -> None:
        self._top = top
        self._files: list[str] | None = None
        self._listed = False
        self._given: dict[str, bool] = {}

    def __contains__(self, name: object) -> bool:
        """Whether a name may be given there; True where there are too many files to tell."""
        if not isinstance(name, str):
            return False
        if name not in self._given:
            self._given[name] = self._is_given(name)
        return self._given[name]

    def _is_given(self, name: str) -> bool:
        if not self._listed:
            self._files, self._listed = _python_files(self._top), True
        if self._files is None:
            return True
        word = name.encode()
        # On `self` it is the class's own, and a class that lacks it is what the question is about.
        giving = re.compile(rb"(?<!\bself)\.%b\s*(?::[^=\n]+)?=(?!=)|[\"']%b[\"']" % (word, word))
        return any(word in data and giving.search(data) is not None for data in map(_bytes, self._files))


def _python_files(top: str) -> list[str] | None:
    found: list[str] = []
    for count, (folder, folders, files) in enumerate(os.walk(top)):
        if count > _MOST_FOLDERS or len(found) > _MOST_FILES:
            return None
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        if folder != top and "pyvenv.cfg" in files:
            folders.clear()
            continue
        found += [f"{folder}{os.sep}{name}" for name in files if name.endswith(".py")]
    return found


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
