"""Whether a block is Python, asked of it alone, so that no bracket of one block reaches into the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.documents.blocks import Places
from gradlint.errors import UnreadableFile
from gradlint.model import Position
from gradlint.source import Source

if TYPE_CHECKING:
    from gradlint.documents.blocks import Block


def check(block: Block, path: str) -> None:
    """Raise UnreadableFile, at a place in the text around it, for a block that is not Python."""
    try:
        _check(block.code, path)
    except UnreadableFile as problem:
        line, column = problem.position
        place = Places([block]).position(Position(line + block.first - 1, column))
        raise UnreadableFile(problem.reason, place) from None


def is_python(text: str) -> bool:
    """Whether a text is Python."""
    try:
        _check(text, "")
    except UnreadableFile:
        return False
    return True


def _check(text: str, path: str) -> None:
    from gradlint.parse import check_syntax  # imports libcst, which a run that knows all results does without

    source = Source(path, text)
    if (null := text.find("\0")) >= 0:
        raise UnreadableFile("contains a null byte", source.position(null))
    check_syntax(source)
