"""What a file with Python code in it is to the linter, and the simplest kind: a file that is nothing but Python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gradlint.edits import applied
from gradlint.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import Edit, Violation


class Document(Protocol):
    """A file whose code can be linted and changed."""

    @property
    def shown(self) -> Source:
        """The text in which reported positions and edits stand."""

    @property
    def source(self) -> Source:
        """The code alone, line by line as in `shown`. Raises UnreadableFile."""

    def reported(self, violations: Iterable[Violation]) -> list[Violation]:
        """Violations of `source` at their places in `shown`; a fix that leaves the code is taken off."""

    def changed(self, edits: Iterable[Edit]) -> Document:
        """The file after edits of `shown`. Raises UnreadableFile if code cannot be read any more."""

    def encode(self) -> bytes:
        """The bytes of the file. Raises UnicodeError."""


@dataclass(frozen=True)
class Script:
    """A file of Python."""

    source: Source

    @classmethod
    def read(cls, data: bytes, path: str, module: str, *, is_package: bool) -> Script:
        """Decode as Python does. Raises UnreadableFile."""
        return cls(Source.decode(data, path, module=module, is_package=is_package))

    @property
    def shown(self) -> Source:
        """The code is all there is."""
        return self.source

    def reported(self, violations: Iterable[Violation]) -> list[Violation]:
        """As they are."""
        return list(violations)

    def changed(self, edits: Iterable[Edit]) -> Script:
        """The file after edits."""
        return Script(replace(self.source, text=applied(self.source, edits)))

    def encode(self) -> bytes:
        """In the encoding it was read in."""
        return self.source.encode(self.source.text)
