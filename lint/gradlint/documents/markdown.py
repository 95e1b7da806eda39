"""Markdown: the fenced blocks of Python, in their order, are one module.

A block that the document runs (`{.python .input}`, `{code-cell}`) must be Python, or the file is a GRD001; any other
block that is no Python, such as an abridged one or a session with `>>>`, is prose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from gradlint.documents.blocks import Block, Places, blank, code_of, dedented
from gradlint.documents.fences import fences, may_hold_python
from gradlint.documents.magics import without_magics
from gradlint.documents.syntax import check, is_python
from gradlint.documents.tabs import has_tags, is_for_torch, without_other_branches
from gradlint.documents.text import decoded, encoded
from gradlint.edits import applied
from gradlint.errors import UnreadableFile
from gradlint.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.documents.fences import Fence
    from gradlint.model import Edit, Violation

# What MyST has at the top of a cell: `:tags: [a]` lines, or a block between `---`.
_OPTIONS: Final = re.compile(r"(?:---[ \t]*\r?\n.*?\n---[ \t]*(?=\r?\n)|(?::[\w-]+:[^\r\n]*(?:\r?\n|\Z))+)", re.DOTALL)


@dataclass(frozen=True)
class Markdown:
    """A Markdown file. Positions are those of the file."""

    shown: Source
    has_bom: bool = False

    @classmethod
    def read(cls, data: bytes, path: str) -> Markdown:
        """Raises UnreadableFile; but one without Python is never asked for its encoding."""
        if not may_hold_python(data):
            return cls(Source(path, ""))
        text, has_bom = decoded(data)
        return cls(Source(path, text), has_bom)

    @cached_property
    def _blocks(self) -> list[Block]:
        found = list(fences(self.shown.text))
        tagged = has_tags(found)
        return [_block(each, self.shown.path) for each in found if is_for_torch(each, tagged=tagged)]

    @cached_property
    def source(self) -> Source:
        """The code, the prose blank. Raises UnreadableFile for a block that the document runs and that is no Python."""
        return Source(self.shown.path, code_of(self.shown.text, self._blocks))

    def reported(self, violations: Iterable[Violation]) -> list[Violation]:
        """At their places in the file."""
        places = Places(self._blocks)
        return [places.violation(violation) for violation in violations]

    def changed(self, edits: Iterable[Edit]) -> Markdown:
        """The file after edits. Raises UnreadableFile if a block is no Python any more."""
        changed = replace(self, shown=replace(self.shown, text=applied(self.shown, edits)))
        before, after = ([bool(block.code.strip()) for block in one._blocks] for one in (self, changed))
        if before != after:
            raise UnreadableFile("a block is not Python any more")
        return changed

    def encode(self) -> bytes:
        """In UTF-8."""
        return encoded(self.shown.text, has_bom=self.has_bom)


def _block(fence: Fence, path: str) -> Block:
    """The code of a block; blank where it is no Python and need not be."""
    code, indents = dedented(fence.text, fence.indent)
    # The line below counts as indented, too: a range of whole lines begins and ends behind the indentation.
    block = Block(fence.first, fence.text, code, (*indents, fence.end_indent))
    if options := _OPTIONS.match(code) if fence.is_run else None:
        code = blank(options.group()) + code[options.end() :]
    if not is_python(code):
        code = without_magics(code)
        if not fence.is_run and not is_python(code):
            return replace(block, code=blank(code))
    block = replace(block, code=without_other_branches(code))
    check(block, path)
    return block
