"""From all problems to those that were asked for: not in the baseline, on lines that have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.errors import UsageProblem

if TYPE_CHECKING:
    from gradlint.baseline import Baseline
    from gradlint.changes import Changes
    from gradlint.output.page import Page
    from gradlint.run import Report


class Narrowing:
    """What `--baseline` and `--diff-base` leave of a report. Reads both at once. Raises UsageProblem."""

    def __init__(self, baseline: Path | None, revision: str | None, folder: Path) -> None:
        self._folder = folder
        self._baseline: Baseline | None = None
        self._changes: Changes | None = None
        if baseline is not None:
            from gradlint.baseline import read

            self._baseline = read(baseline)
        if revision is not None:
            from gradlint.changes import since

            self._changes = since(revision, folder)

    def __call__(self, page: Page) -> Page:
        """The page with what is left."""
        violations = page.violations if self._baseline is None else tuple(self._baseline.new(page.violations))
        if (changes := self._changes) is not None:
            places = [(each, page.in_file(each.path, each.range)) for each in violations]
            violations = tuple(each for each, place in places if changes.touch(self._folder / each.path, place))
        return replace(page, violations=violations)

    def notes(self, report: Report) -> list[str]:
        """What there is to say: that entries of the baseline are stale."""
        if self._baseline is None or not (gone := self._baseline.stale(report.violations, report.linted)):
            return []
        file, what = self._baseline.file, "1 entry is" if len(gone) == 1 else f"{len(gone)} entries are"
        return [f"{file}: {what} stale, the problems are gone; --write-baseline {file} brings it up to date"]


def write_baseline(report: Report, file: Path) -> str:
    """Write a baseline of all problems; what to say of it. Raises UsageProblem."""
    from gradlint.baseline import written
    from gradlint.writing import write_atomically

    try:
        write_atomically(file, written(report.violations, file).encode())
    except OSError as problem:
        raise UsageProblem(f"--write-baseline: {file}: {problem.strerror}") from None
    return f"wrote {len(report.violations)} problems to {file}"
