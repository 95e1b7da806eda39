"""Blocks of code in a text of other things: the code that rules see, and the way of violations and edits back.

The code has the lines of the text: what is not code is blank there. Only columns can differ, by a block's indentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gradlint.model import Edit, Fix, Position, Range

if TYPE_CHECKING:
    from gradlint.model import Violation

LINE: re.Pattern[str] = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


@dataclass(frozen=True)
class Block:
    """A stretch of whole lines: the number of its first line, its text, the code in it and how far it is indented.

    `code` has as many lines as `text`, each ended by a line feed; a line that rules must not see differs. `indents` are
    the columns that each line of the code has lost, and may go on for the line below the block.
    """

    first: int
    text: str
    code: str
    indents: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The number of the line below."""
        return self.first + len(LINE.findall(self.text))

    def indent(self, line: int) -> int:
        """How far a line is indented."""
        index = line - self.first
        return self.indents[index] if 0 <= index < len(self.indents) else 0

    def holds(self, line: int) -> bool:
        """Whether the code of a line is what is written there."""
        index = line - self.first
        written, read = LINE.findall(self.text), LINE.findall(self.code)
        if not 0 <= index < min(len(written), len(read)):
            return False
        return bool(written[index].rstrip("\r\n")[self.indent(line) :] == read[index].rstrip("\n"))


def dedented(text: str, indent: int) -> tuple[str, tuple[int, ...]]:
    """The code of a text whose lines lose up to this many blanks, and how many each has lost."""
    lines = LINE.findall(text)
    lost = tuple(min(indent, len(line) - len(line.lstrip(" \t"))) for line in lines)
    kept = (line[count:] for line, count in zip(lines, lost, strict=True))
    # One end of line for all: a lone carriage return would otherwise join with what is below a hidden line.
    return "".join(re.sub(r"\r\n?", "\n", line) for line in kept), lost


def blank(text: str) -> str:
    """Code without anything but the ends of its lines."""
    return "\n" * text.count("\n")


def code_of(text: str, blocks: Iterable[Block]) -> str:
    """The code of a text: that of its blocks, on their lines."""
    lines = ["\n"] * len(LINE.findall(text))
    for block in blocks:
        for number, line in enumerate(LINE.findall(block.code), block.first - 1):
            lines[number] = line
    return "".join(lines)


class Places:
    """Takes positions in the code of blocks to the text around them."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = {line: block for block in blocks for line in range(block.first, block.end + 1)}
        # The line below a block is the next block's, where that follows at once.
        self._blocks.update({block.first: block for block in list(self._blocks.values())})

    def position(self, at: Position) -> Position:
        """A position in the text."""
        block = self._blocks.get(at.line)
        return Position(at.line, at.column + block.indent(at.line)) if block else at

    def range(self, where: Range) -> Range:
        """A range in the text."""
        return Range(self.position(where.start), self.position(where.end))

    def violation(self, found: Violation) -> Violation:
        """A violation at its place in the text, without a fix that cannot be made there."""
        related = tuple(
            replace(each, range=self.range(each.range)) if each.path == found.path else each for each in found.related
        )
        fix = self._fix(found.fix) if found.fix else None
        return replace(found, range=self.range(found.range), related=related, fix=fix)

    def _fix(self, fix: Fix) -> Fix | None:
        edits = [self._edit(edit) for edit in fix.edits]
        made = tuple(edit for edit in edits if edit is not None)
        return Fix(fix.safety, made) if len(made) == len(edits) else None

    def _edit(self, edit: Edit) -> Edit | None:
        """An edit of the text; None where it would touch two blocks, or a line that is not what rules saw."""
        (start, end), block = edit.range, self._blocks.get(edit.range.start.line)
        if block is None:
            return None
        last = end.line - 1 if end.column == 1 and end.line > start.line else end.line
        if not all(map(block.holds, range(start.line, last + 1))):
            return None
        written = LINE.findall(block.text)[start.line - block.first]
        indentation = written[: block.indent(start.line)]
        content = re.sub(r"(?<=\n)", lambda _: indentation, edit.content) if indentation else edit.content
        return Edit(self.range(edit.range), content)
