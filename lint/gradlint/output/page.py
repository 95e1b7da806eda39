"""What an output is given: the violations, the texts they stand in, and how it may look."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.documents import NOTEBOOK, shown
from gradlint.edits import is_fixable
from gradlint.errors import UnreadableFile
from gradlint.model import Position, Range, Safety
from gradlint.output.terminal import Style, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.model import Violation
    from gradlint.source import CellLine, Source


@dataclass(frozen=True)
class Page:
    """A report to be rendered; paths are relative to `folder`, `safety` is the weakest fix that counts as fixable."""

    violations: tuple[Violation, ...]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    safety: Safety = Safety.SAFE
    style: Style = field(default_factory=Style)
    folder: Path = field(default_factory=Path.cwd)

    def fixable(self, violation: Violation) -> bool:
        """Whether `--fix` with the same options would change something for a violation."""
        return is_fixable(violation, self.safety)

    @property
    def totals(self) -> str:
        """The line below the violations."""
        fixable = sum(map(self.fixable, self.violations))
        return f"Found {len(self.violations)} problems ({fixable} fixable)."

    @cached_property
    def _repository(self) -> Path:
        around = (self.folder, *self.folder.parents)
        return next((above for above in around if (above / ".git").exists()), self.folder)

    def in_repository(self, path: str) -> str:
        """A path relative to the repository, as services that know only the repository want it."""
        try:
            return Path(os.path.normpath(self.folder / path)).relative_to(self._repository).as_posix()
        except ValueError:
            return path

    @cached_property
    def _sources(self) -> dict[str, Source | None]:
        return {}

    def source(self, path: str) -> Source | None:
        """The text in which a file's violations stand; None where it cannot be read."""
        if path not in self._sources:
            self._sources[path] = None
            with suppress(UnreadableFile):
                self._sources[path] = shown(self.contents[path], path) if path in self.contents else None
        return self._sources[path]

    def cell_line(self, path: str, line: int) -> CellLine | None:
        """Where a line of a notebook stands; None in other files."""
        source = self.source(path) if path.endswith(NOTEBOOK) else None
        return source.cell_line(line) if source else None

    def number(self, path: str, line: int) -> int:
        """What a line is called: its number in the file, in a notebook in its cell."""
        found = self.cell_line(path, line)
        return found.line if found else line

    def place(self, path: str, at: Position) -> str:
        """`path:line:column`, in a notebook `path:cell N:line:column` with the line counted in the cell."""
        found = self.cell_line(path, at.line)
        where = f"cell {found.cell}:{found.line}" if found else f"{at.line}"
        return f"{plain(path)}:{where}:{at.column}"

    def in_file(self, path: str, where: Range) -> Range:
        """A range in the file itself: of a notebook, whose lines are strings in JSON, whole lines from column 1."""
        first, last = self.cell_line(path, where.start.line), self.cell_line(path, where.end.line)
        if first is None or last is None:
            return where
        return Range(Position(first.file_line, 1), Position(last.file_line, 1))
