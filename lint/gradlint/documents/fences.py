"""Fenced blocks of Python in Markdown, whatever the dialect writes behind the fence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradlint.documents.blocks import LINE

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\r\n]*)")
# python, py, python3, {.python .input n=1}, { .python .annotate }, {code-cell} ipython3, python title="a.py"
_PYTHON: Final = re.compile(
    r"\{?\s*\.?(?:i?python3?|py3?)(?=[\s,:{}]|$)|\{code-cell\}\s*(?:i?python3?\b|$)", re.IGNORECASE
)
_RUN: Final = re.compile(r"\{\s*\.python\s+\.input\b|\{code-cell\}", re.IGNORECASE)
_MAYBE: Final = re.compile(rb"(?<![`~])(?:`{3}|~{3})[^\r\n]*(?:py|code-cell)", re.IGNORECASE)
_SKIPPED: Final = re.compile(r"<!--\s*gradlint\s*:\s*skip\s*-->")


@dataclass(frozen=True)
class Fence:
    """A block: the number of its first line of code, its lines, its indentation, and whether the document runs it.

    `end_indent` is the indentation of the fence that closes it, at most that of the block.
    """

    first: int
    lines: tuple[str, ...]
    indent: int
    end_indent: int
    is_run: bool

    @property
    def text(self) -> str:
        """The lines between the fences."""
        return "".join(self.lines)


def may_hold_python(data: bytes) -> bool:
    """Whether a file can have a fenced block of Python."""
    return _MAYBE.search(data) is not None


def fences(text: str) -> Iterator[Fence]:
    """The blocks of Python in text order; not those in comments, in blocks of another kind or below a `skip`."""
    lines = LINE.findall(text)
    index = 0
    is_skipped = False
    while index < len(lines):
        line = lines[index]
        index += 1
        if "<!--" in line and "-->" not in line.rpartition("<!--")[2]:
            index = next((at + 1 for at in range(index, len(lines)) if "-->" in lines[at]), len(lines))
            continue
        opening = _FENCE.match(line)
        if opening is None or (opening["mark"][0] == "`" and "`" in opening["info"]):
            is_skipped = bool(_SKIPPED.search(line)) or (is_skipped and not line.strip())
            continue
        end = _closing(lines, index, opening["mark"])
        info = opening["info"].strip()
        if _PYTHON.match(info) and not is_skipped:
            indent = len(opening["indent"])
            below = lines[end] if end < len(lines) else ""
            end_indent = min(indent, len(below) - len(below.lstrip(" \t")))
            yield Fence(index + 1, tuple(lines[index:end]), indent, end_indent, _RUN.match(info) is not None)
        index, is_skipped = end + 1, False


def _closing(lines: list[str], index: int, mark: str) -> int:
    """The index of the fence that closes, or the number of lines."""
    closing = re.compile(rf"[ \t]*{re.escape(mark[0])}{{{len(mark)},}}\s*$")
    return next((at for at in range(index, len(lines)) if closing.match(lines[at])), len(lines))
