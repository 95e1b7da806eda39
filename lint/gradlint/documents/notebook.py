"""Jupyter notebooks: the code cells, in their order, are one module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from gradlint.documents.blocks import LINE, Block, Places, blank, code_of, dedented
from gradlint.documents.magics import without_magics
from gradlint.documents.notebook_json import Cell, cells, file_lines, line_starts, replaced
from gradlint.documents.syntax import check, is_python
from gradlint.documents.text import decoded, encoded
from gradlint.edits import applied
from gradlint.model import Position, Range
from gradlint.source import CellLine, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import Edit, Violation


@dataclass(frozen=True)
class Notebook:
    """A notebook: its JSON as text and its code cells. Positions count the lines of all code cells together."""

    raw: str
    path: str
    cells: tuple[Cell, ...]
    has_bom: bool = False

    @classmethod
    def read(cls, data: bytes, path: str) -> Notebook:
        """Raises UnreadableFile."""
        raw, has_bom = decoded(data)
        return cls(raw, path, tuple(cell for cell in cells(raw) if cell.text), has_bom)

    @cached_property
    def _texts(self) -> list[str]:
        """The cells, each with an end of its last line."""
        return [cell.text if cell.text.endswith(("\n", "\r")) else f"{cell.text}\n" for cell in self.cells]

    @cached_property
    def _blocks(self) -> list[Block]:
        counts = [len(LINE.findall(text)) for text in self._texts]
        firsts = accumulate(counts, initial=1)
        return [_block(first, text) for first, text in zip(firsts, self._texts, strict=False)]

    @cached_property
    def shown(self) -> Source:
        """The cells as they are written."""
        begins = line_starts(self.raw)
        lines = (
            CellLine(cell.number, line, file_line)
            for cell in self.cells
            for line, file_line in enumerate(file_lines(cell, begins), 1)
        )
        return Source(self.path, "".join(self._texts), cell_lines=tuple(lines))

    @cached_property
    def source(self) -> Source:
        """The cells as Python. Raises UnreadableFile for the first cell that is none."""
        for block in self._blocks:
            check(block, self.path)
        return Source(self.path, code_of(self.shown.text, self._blocks))

    def reported(self, violations: Iterable[Violation]) -> list[Violation]:
        """At their places in the cells."""
        places = Places(self._blocks)
        return [places.violation(violation) for violation in violations]

    def changed(self, edits: Iterable[Edit]) -> Notebook:
        """The notebook with changed cells."""
        edits = list(edits)
        changes: list[tuple[Cell, str]] = []
        for cell, block in zip(self.cells, self._blocks, strict=True):
            own = [_moved(edit, block) for edit in edits if block.first <= edit.range.start.line < block.end]
            if own:
                text = applied(Source(self.path, block.text), own)
                is_ended = cell.text.endswith(("\n", "\r"))
                changes.append((cell, text if is_ended else text.removesuffix("\n")))
        raw = replaced(self.raw, changes)
        return replace(self, raw=raw, cells=tuple(cell for cell in cells(raw) if cell.text))

    def encode(self) -> bytes:
        """In UTF-8."""
        return encoded(self.raw, has_bom=self.has_bom)


def _block(first: int, text: str) -> Block:
    code, _ = dedented(text, 0)
    if is_python(code):
        return Block(first, text, code)
    # A cell may be indented as a whole; the shell takes that away.
    start = next((line for line in LINE.findall(text) if line.strip()), "")
    code, indents = dedented(text, len(start) - len(start.lstrip(" \t")))
    return Block(first, text, without_magics(code) if code.strip() else blank(text), indents)


def _moved(edit: Edit, block: Block) -> Edit:
    """An edit counted from the first line of its cell."""
    up = block.first - 1
    start, end = (Position(place.line - up, place.column) for place in edit.range)
    return replace(edit, range=Range(start, end))
