"""Which lines of the working tree have changed since a revision, as git says."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gradlint.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.model import Range

_HUNK: Final = re.compile(r"@@ -\d+(?:,(?P<gone>\d+))? \+(?P<start>\d+)(?:,(?P<count>\d+))? @@")
_ESCAPE: Final = re.compile(r"\\([0-7]{3}|.)")
_ESCAPES: Final = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_DIFF: Final = ("diff", "--unified=0", "--text", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames")
_PREFIXES: Final = ("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules")


@dataclass(frozen=True)
class Changes:
    """The changed lines of each tracked file below the top of a repository. What git does not track has all changed."""

    top: Path
    tracked: frozenset[str]
    lines: dict[str, list[range]]

    def touch(self, path: Path, where: Range) -> bool:
        """Whether a line of a range in a file has changed."""
        try:
            name = path.resolve().relative_to(self.top).as_posix()
        except ValueError:
            return True
        if name not in self.tracked:
            return True
        start, end = where
        last = end.line - 1 if end.column == 1 and end.line > start.line else end.line
        return any(start.line < lines.stop and lines.start <= last for lines in self.lines.get(name, ()))


def since(revision: str, folder: Path) -> Changes:
    """The changes since this revision or, where the history has forked, since the fork. Raises UsageProblem."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n")).resolve()
    base = _base(revision, top)
    tracked = _git(top, "ls-files", "-z").split("\0")
    diff = _git(top, *_DIFF, *_PREFIXES, base, "--")
    return Changes(top, frozenset(tracked), dict(_changed(diff)))


def _base(revision: str, top: Path) -> str:
    is_option = revision.startswith("-")
    said = "" if is_option else _answer(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not said:
        raise UsageProblem(f"--diff-base: git knows no commit {revision!r}{_shallow(top)}")
    fork = _answer(top, "merge-base", said, "HEAD")
    if not fork and _shallow(top):
        raise UsageProblem(f"--diff-base: {revision!r} and HEAD have no commit in common{_shallow(top)}")
    return fork or said


def _shallow(top: Path) -> str:
    is_shallow = _answer(top, "rev-parse", "--is-shallow-repository") == "true"
    advice = "`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout, brings the rest"
    return f" in this shallow clone; {advice}" if is_shallow else ""


def _answer(folder: Path, *arguments: str) -> str:
    """What git says, nothing where it fails."""
    return _run(folder, *arguments).stdout.decode(errors="surrogateescape").strip()


def _git(folder: Path, *arguments: str) -> str:
    done = _run(folder, *arguments)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageProblem(f"--diff-base: git {arguments[0]}: {reason[0] if reason else 'failed'}")
    return done.stdout.decode(errors="surrogateescape")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    environment = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    except OSError as problem:
        raise UsageProblem(f"--diff-base needs git, which cannot be run: {problem.strerror}") from None


def _changed(diff: str) -> Iterator[tuple[str, list[range]]]:
    """Each file of a diff without context, with the lines that are new in it."""
    lines: list[range] = []
    rest = 0
    for line in diff.split("\n"):
        if rest and line[:1] in ("+", "-"):  # a line of the file, whatever it looks like
            rest -= 1
        elif line.startswith("+++ "):
            lines = []
            yield _unquoted(line[4:].rstrip("\t"))[2:], lines
        elif found := _HUNK.match(line):
            start, count = int(found["start"]), int(found["count"] or 1)
            lines.append(range(start, start + count))
            rest = count + int(found["gone"] or 1)


def _unquoted(name: str) -> str:
    """A name as git writes it: in quotes, as in C, where it holds quotes or control characters."""
    if not name.startswith('"'):
        return name
    return _ESCAPE.sub(_character, name[1:-1])


def _character(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code, 8)) if len(code) == 3 else chr(_ESCAPES[code]) if code in _ESCAPES else code
