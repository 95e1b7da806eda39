"""From the paths of the command line to the files to lint, in one order whatever the file system says."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gradlint.documents import SUFFIXES
from gradlint.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.config import Configs

STDIN: Final = "-"
# Beside hidden folders and virtual environments (by their pyvenv.cfg, whatever their name).
_SKIPPED: Final = frozenset(
    ("__pycache__", "__pypackages__", "_build", "build", "dist", "node_modules", "site-packages", "venv")
)


@dataclass
class Found:
    """The files to lint (absolute, sorted, each once) and the folders that could not be listed, with the reason."""

    files: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    stdin: bool = False


def discover(paths: Iterable[str], configs: Configs, cwd: Path, *, force_exclude: bool = False) -> Found:
    """Find the files. A file given by name is linted even if excluded, unless `force_exclude`. Raises UsageProblem."""
    found = Found()
    files: set[Path] = set()
    for text in paths:
        if text == STDIN:
            found.stdin = True
            continue
        path = Path(os.path.normpath(cwd / text))
        kind = _kind(path, text)
        if kind == "unreadable":
            found.unreadable.append((path, "cannot be reached: Permission denied"))
        elif kind == "folder":
            if not (force_exclude and configs.of(path).excludes(path)):
                files.update(_walk(path, configs, found))
        elif not (force_exclude and configs.of(path.parent).excludes(path)):
            files.add(path)
    found.files = sorted(files, key=lambda path: path.parts)
    found.unreadable = sorted(set(found.unreadable))
    return found


def _kind(path: Path, text: str) -> str:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "unreadable"
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        missing = isinstance(problem, (FileNotFoundError, NotADirectoryError))
        hint = "; the commands are 'gradlint rules' and 'gradlint explain CODE'" if text in ("rules", "explain") else ""
        said = "no such file or folder" if missing else reason
        raise UsageProblem(f"{text}: {said}{hint}") from None
    if stat.S_ISDIR(mode):
        return "folder"
    if not path.name.endswith(SUFFIXES):
        raise UsageProblem(f"{text}: not a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    if not stat.S_ISREG(mode):
        raise UsageProblem(f"{text}: not a regular file")
    return "file"


def _walk(top: Path, configs: Configs, found: Found) -> list[Path]:
    """The files below a folder. Links to folders are not followed, so that no loop can arise."""
    files: list[Path] = []
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as problem:
            found.unreadable.append((folder, f"cannot be listed: {problem.strerror}"))
            continue
        if folder != top and any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        config = configs.of(folder)
        for entry in entries:
            path = folder / entry.name
            if _is_folder(entry):
                if not _is_skipped(entry.name) and not config.excludes(path):
                    waiting.append(path)
            elif entry.name.endswith(SUFFIXES) and _is_file(entry) and not config.excludes(path):
                files.append(path)
    return files


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or name.endswith(".egg-info")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    # Links that lead nowhere, pipes and sockets are not files; a file that may not be read is one.
    try:
        return entry.is_file()
    except OSError:
        return False
