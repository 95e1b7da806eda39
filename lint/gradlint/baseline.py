"""A baseline: the problems that a project had when it began, by what they are and not by where they stand.

Only new problems are shown. A problem is known by its file, its rule and the text of its line, so it may move; how
often the same one occurs counts.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradlint.errors import UsageProblem
from gradlint.model import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradlint.model import Violation
    from gradlint.selection import Selection

_VERSION: Final = 1


@dataclass(frozen=True)
class Entry:
    """A problem that is known: its file relative to the baseline's folder, and how often it is there."""

    path: str
    code: str
    level: Level
    fingerprint: str
    message: str
    count: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """What it is matched by."""
        return self.path, self.fingerprint


@dataclass(frozen=True)
class Baseline:
    """A baseline file and its entries."""

    file: Path
    entries: tuple[Entry, ...]

    def new(self, violations: Iterable[Violation]) -> list[Violation]:
        """The violations that are not known, or more often than known."""
        left = Counter({entry.key: entry.count for entry in self.entries})
        found: list[Violation] = []
        for violation in violations:
            key = _path(violation, self.file), violation.fingerprint
            if left[key] > 0:
                left[key] -= 1
            else:
                found.append(violation)
        return found

    def stale(self, violations: Iterable[Violation], linted: Mapping[str, Selection]) -> list[Entry]:
        """The entries that are gone: of files that were linted with their rule, or that do not exist any more."""
        there = Counter((_path(violation, self.file), violation.fingerprint) for violation in violations)
        selections = {_from_folder(name, self.file): selection for name, selection in linted.items()}
        return [entry for entry in self.entries if there[entry.key] < entry.count and self._is_asked(entry, selections)]

    def _is_asked(self, entry: Entry, selections: Mapping[str, Selection]) -> bool:
        selection = selections.get(entry.path)
        if selection is None:
            return not (self.file.parent / entry.path).exists()
        return entry.code in selection.active and selection.shows(entry.code, entry.level)


def written(violations: Sequence[Violation], file: Path) -> str:
    """The text of a baseline file for these violations, an entry a line, so that it merges well."""
    counts = Counter((_path(violation, file), violation.fingerprint) for violation in violations)
    by_key = {(_path(violation, file), violation.fingerprint): violation for violation in violations}
    lines = [
        json.dumps(
            {
                "path": key[0],
                "code": violation.code,
                "level": violation.level.value,
                "fingerprint": key[1],
                "count": counts[key],
                "message": violation.message,
            }
        )
        for key, violation in sorted(by_key.items(), key=lambda item: (item[0][0], item[1].code, item[0][1]))
    ]
    body = "".join(f"\n    {line}," for line in lines).removesuffix(",")
    return f'{{\n  "gradlint-baseline": {_VERSION},\n  "problems": [{body}{chr(10) + "  " if body else ""}]\n}}\n'


def read(file: Path) -> Baseline:
    """Read a baseline. Raises UsageProblem."""
    try:
        content = json.loads(file.read_bytes())
        if content["gradlint-baseline"] != _VERSION:
            raise UsageProblem(f"--baseline: {file} is of version {content['gradlint-baseline']}, not {_VERSION}")
        return Baseline(file, tuple(_entry(each) for each in content["problems"]))
    except OSError as problem:
        raise UsageProblem(f"--baseline: {file}: {problem.strerror}; --write-baseline {file} makes one") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageProblem(f"--baseline: {file} is not a baseline; --write-baseline {file} makes one") from None


def _entry(data: Any) -> Entry:
    code, count = data["code"], data["count"]
    return Entry(data["path"], code, Level(data["level"]), data["fingerprint"], data["message"], int(count))


def _path(violation: Violation, file: Path) -> str:
    return _from_folder(violation.path, file)


def _from_folder(path: str, file: Path) -> str:
    """A path as the output shows it, made relative to the baseline's folder."""
    try:
        return os.path.relpath(path, file.parent).replace(os.sep, "/")
    except ValueError:  # another drive
        return path
