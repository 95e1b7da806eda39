"""On GitHub Actions: an annotation at the line of each wrong backward, and a table in the job's summary.

Formats: "Workflow commands for GitHub Actions" and "Adding a job summary" in GitHub's documentation.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_gradcheck.properties import FINE, Said, read

if TYPE_CHECKING:
    import pytest

#: GitHub shows at most ten annotations of a level a step; the summary has them all.
_ANNOTATIONS = 10
_SUMMARY = "GITHUB_STEP_SUMMARY"


def running() -> bool:
    """Whether this process runs in a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


class _Line(NamedTuple):
    test: str
    outcome: str
    said: Said
    place: tuple[str, int]


class Annotator:
    """The hooks of a run on GitHub Actions; registered in the controller only.

    Args:
        root: The folder that node ids and test locations are relative to.
        here: The folder that pytest was called in, which sources in reports are relative to.
    """

    def __init__(self, root: Path, here: Path) -> None:
        self._root, self._here = root, here
        self._lines: list[_Line] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collects what the tests of this process, or of the workers, have found."""
        file, line, _ = report.location
        for said in read(report):
            place = self._place(said.source) or (_relative(self._root / file), (line or 0) + 1)
            self._lines.append(_Line(report.nodeid, report.outcome, said, place))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Writes the annotations to the log, where GitHub picks them up, and the table to the summary's file."""
        failing = [line for line in self._lines if line.outcome == "failed" and line.said.verdict not in FINE]
        for line in failing[:_ANNOTATIONS]:
            terminalreporter.write_line(annotation(line.place, line.said))
        target = os.environ.get(_SUMMARY)
        if not target or not self._lines:
            return
        try:
            with Path(target).open("a", encoding="utf-8") as handle:
                handle.write(self._summary(failing))
        except OSError as error:
            terminalreporter.write_line(
                f"gradcheck: the job summary {target} cannot be written: {error.strerror or error}"
            )

    def _place(self, source: str) -> tuple[str, int] | None:
        """The file and line of a source inside the workspace, or None."""
        name, _, number = source.rpartition(":")
        path = self._here / name
        if not name or not number.isdigit() or not path.is_file():
            return None
        relative = _relative(path)
        return None if relative.startswith("..") or Path(relative).is_absolute() else (relative, int(number))

    def _summary(self, failing: list[_Line]) -> str:
        counts = Counter((line.said.kind, line.said.verdict) for line in self._lines)
        rows = [f"| {kind} | {verdict} | {count} |" for (kind, verdict), count in sorted(counts.items())]
        parts = ["## Gradient checks and smoke runs", "| kind | verdict | count |\n|---|---|---|\n" + "\n".join(rows)]
        for line in failing:
            fence = "```" if "```" not in line.said.text else "~~~~"
            title = f"{line.test}: {line.said.verdict}".replace("&", "&amp;").replace("<", "&lt;")
            parts.append(f"<details><summary>{title}</summary>\n\n{fence}text\n{line.said.text}\n{fence}\n\n</details>")
        return "\n\n".join(parts) + "\n"


def annotation(place: tuple[str, int], said: Said) -> str:
    """The workflow command that marks a line: first line as the title, the rest as its text."""
    title = _escaped(said.headline).replace(":", "%3A").replace(",", "%2C")
    file = _escaped(place[0]).replace(":", "%3A").replace(",", "%2C")
    return f"::error file={file},line={place[1]},title={title}::{_escaped(said.text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _relative(path: Path) -> str:
    """A path as GitHub names it: relative to the workspace, with forward slashes."""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", Path.cwd()))
    return Path(os.path.relpath(path, workspace)).as_posix()
