"""A file's bytes as text with lines and offsets, decoded as Python itself decodes source."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from gradlint.errors import UnreadableFile
from gradlint.model import Position, Range

_LINE_END = re.compile(r"\r\n?|\n")


class CellLine(NamedTuple):
    """Where a line of a notebook's code stands: its cell, the line in there, and the line in the file. All from 1."""

    cell: int
    line: int
    file_line: int


@dataclass(frozen=True)
class Source:
    """The text of one file and where its lines begin; positions count code points from 1, a BOM is no part of it.

    `cell_lines` says of each line where it comes from, if the text is that of a notebook's cells.
    """

    path: str
    text: str
    encoding: str = "utf-8"
    module: str = "__main__"
    is_package: bool = False
    cell_lines: tuple[CellLine, ...] = ()

    @classmethod
    def decode(cls, data: bytes, path: str, *, module: str = "__main__", is_package: bool = False) -> Source:
        """Decode by BOM, encoding cookie or UTF-8; newlines stay as they are. Raises UnreadableFile."""
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            text = data.decode(encoding)
        except (SyntaxError, LookupError, ValueError) as error:
            raise UnreadableFile(f"cannot be decoded: {error}") from error
        text = text.removeprefix("\ufeff")
        source = cls(path, text, encoding, module, is_package)
        if (null := text.find("\0")) >= 0:
            raise UnreadableFile("contains a null byte", source.position(null))
        return source

    def encode(self, text: str) -> bytes:
        """The bytes of a changed text, in the encoding of this file and with its BOM where it has one."""
        return codecs.encode(text, self.encoding)

    def with_newlines(self, text: str) -> str:
        """A text whose lines end as the first line of this file does."""
        first = _LINE_END.search(self.text)
        return _LINE_END.sub(first.group() if first else "\n", text)

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """The offset of each line's first character; CRLF, CR and LF each end a line, mixed or not."""
        return (0, *(match.end() for match in _LINE_END.finditer(self.text)))

    def position(self, offset: int) -> Position:
        """The line and column of an offset."""
        line = bisect_right(self.line_starts, offset)
        return Position(line, offset - self.line_starts[line - 1] + 1)

    def offset(self, position: Position) -> int:
        """The offset of a line and column."""
        return self.line_starts[position.line - 1] + position.column - 1

    def cell_line(self, line: int) -> CellLine | None:
        """Where a line comes from; None where the text is no notebook's."""
        return self.cell_lines[min(line, len(self.cell_lines)) - 1] if self.cell_lines else None

    def slice(self, where: Range) -> str:
        """The text of a range."""
        return self.text[self.offset(where.start) : self.offset(where.end)]

    def line(self, number: int) -> str:
        """A line's text without its end; empty past the last line."""
        if not 1 <= number <= len(self.line_starts):
            return ""
        start = self.line_starts[number - 1]
        match = _LINE_END.search(self.text, start)
        return self.text[start : match.start() if match else len(self.text)]
