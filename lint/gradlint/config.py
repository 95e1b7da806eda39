"""Reads `[tool.gradlint]`: every key and value is checked, a wrong one is named with its file and a suggestion."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from gradlint.errors import UsageProblem
from gradlint.profiles import PROFILES
from gradlint.selection import codes_of, find, matching, suggest
from gradlint.settings import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Configs:
    """The configuration of each folder: the one given, or the nearest pyproject.toml with a `[tool.gradlint]` table."""

    def __init__(self, given: Path | None, cwd: Path) -> None:
        self._given = _load_given(given, cwd) if given is not None else None
        self._by_folder: dict[Path, Config | None] = {}
        self._chosen: dict[Path, Config] = {}
        self._defaults: dict[Path, Config] = {}

    def of(self, folder: Path) -> Config:
        """The configuration for the files of a folder."""
        if self._given is not None:
            return self._given
        if folder not in self._chosen:
            self._chosen[folder] = self._nearest(folder) or self._default(project_root(folder))
        return self._chosen[folder]

    def _default(self, root: Path) -> Config:
        return self._defaults.setdefault(root, Config(root))

    def _nearest(self, folder: Path) -> Config | None:
        if folder not in self._by_folder:
            table = _table_in(folder / "pyproject.toml")
            above = folder.parent
            if table is not None:
                found: Config | None = read(table, folder / "pyproject.toml", folder)
            else:
                found = self._nearest(above) if above != folder else None
            self._by_folder[folder] = found
        return self._by_folder[folder]


def project_root(folder: Path) -> Path:
    """The folder that paths of an unconfigured project are relative to: of pyproject.toml, else .git, else its own."""
    around = (folder, *folder.parents)
    marks = ("pyproject.toml", ".git")
    found = next((above for mark in marks for above in around if (above / mark).exists()), None)
    return found or next((above for above in around if not (above / "__init__.py").exists()), folder)


def _load_given(path: Path, cwd: Path) -> Config:
    file = cwd / path
    if not file.is_file():
        raise UsageProblem(f"--config: there is no file {str(path)!r}")
    document = _document(file)
    is_project = file.name == "pyproject.toml" or "tool" in document
    return read(_inner(document, file) or {} if is_project else document, file, cwd)


def _table_in(file: Path) -> dict[str, Any] | None:
    try:
        if b"gradlint" not in file.read_bytes():
            return None
    except OSError:
        return None
    return _inner(_document(file), file)


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode())
    except (OSError, ValueError) as problem:
        raise UsageProblem(f"{file}: cannot be read as TOML: {problem}") from None


def _inner(document: dict[str, Any], file: Path) -> dict[str, Any] | None:
    tool = document.get("tool", {})
    table = tool.get("gradlint") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageProblem(f"{file}: tool.gradlint must be a table")
    return table


def read(table: dict[str, Any], file: Path, root: Path) -> Config:
    """Check a table and make it a configuration. Raises UsageProblem."""
    fields: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _READERS:
            raise UsageProblem(f"{file}: unknown key tool.gradlint.{key}{suggest(key, _READERS)}")
        where = f"{file}: tool.gradlint.{key}"
        fields[_FIELDS.get(key, key.replace("-", "_"))] = _READERS[key](value, where)
    return Config(root, file, **fields)


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageProblem(f"{where} must be a list of strings, not {_shown(value)}")
    return tuple(value)


def _codes(value: object, where: str) -> tuple[str, ...]:
    found = _strings([value] if isinstance(value, str) else value, where)
    codes_of(found, where)
    return found


def _per_file(value: object, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise UsageProblem(f"{where} must be a table of patterns and code lists, not {_shown(value)}")
    return {pattern: _codes(codes, f"{where}.{pattern!r}") for pattern, codes in value.items()}


def _target(value: object, where: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)*", value) if isinstance(value, str) else None
    if found is None:
        raise UsageProblem(f'{where} must be a version such as "2.4", not {_shown(value)}')
    return int(found[1]), int(found[2])


def _profile(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise UsageProblem(f"{where} must be one of {', '.join(PROFILES)}, not {_shown(value)}{_near(value)}")
    return value


def _near(value: object) -> str:
    return suggest(value, PROFILES) if isinstance(value, str) else ""


def _rules(value: object, where: str) -> dict[str, dict[str, object]]:
    if not isinstance(value, dict):
        raise UsageProblem(f"{where} must be a table of rules and their options, not {_shown(value)}")
    return dict(_options(rule, given, f"{where}.{rule}") for rule, given in value.items())


def _options(rule: str, given: object, where: str) -> tuple[str, dict[str, object]]:
    info = find(rule)
    if info is None:
        matching(rule, where)
        raise UsageProblem(f"{where}: one rule is needed here, not a prefix")
    if not isinstance(given, dict):
        raise UsageProblem(f"{where} must be a table of options, not {_shown(given)}")
    known = dict(info.options)
    for name, value in given.items():
        if name not in known:
            has = f"{info.code} has the options {', '.join(known)}" if known else f"{info.code} has no options"
            raise UsageProblem(f"{where}: unknown key {name}{suggest(name, known) or '; ' + has}")
        if not _same_type(value, known[name]):
            kind = type(known[name]).__name__
            raise UsageProblem(f"{where}.{name} must be of type {kind}, such as {known[name]!r}, not {_shown(value)}")
    return info.code, given


def _same_type(value: object, default: object) -> bool:
    return type(value) is type(default) or (type(default) is float and type(value) is int)


def _shown(value: object) -> str:
    return "a table" if isinstance(value, dict) else repr(value)


_FIELDS = {"rules": "options"}
_READERS: dict[str, Callable[[object, str], object]] = {
    "select": _codes,
    "ignore": _codes,
    "extend-select": _codes,
    "per-file-ignores": _per_file,
    "exclude": _strings,
    "target-torch": _target,
    "profile": _profile,
    "rules": _rules,
}
