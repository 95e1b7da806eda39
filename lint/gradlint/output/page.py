"""What an output is given: the violations, the texts they stand in, and how it may look."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradlint.edits import is_fixable
from gradlint.errors import UnreadableFile
from gradlint.model import Safety
from gradlint.output.terminal import Style
from gradlint.source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.model import Violation


@dataclass(frozen=True)
class Page:
    """A report to be rendered; `safety` is the weakest fix that counts as fixable."""

    violations: tuple[Violation, ...]
    contents: Mapping[str, bytes] = field(default_factory=dict)
    safety: Safety = Safety.SAFE
    style: Style = field(default_factory=Style)

    def fixable(self, violation: Violation) -> bool:
        """Whether `--fix` with the same options would change something for a violation."""
        return is_fixable(violation, self.safety)

    @property
    def totals(self) -> str:
        """The line below the violations."""
        fixable = sum(map(self.fixable, self.violations))
        return f"Found {len(self.violations)} problems ({fixable} fixable)."

    def sources(self) -> dict[str, Source]:
        """The text of each file with violations that can be decoded."""
        found: dict[str, Source] = {}
        for path, data in self.contents.items():
            with suppress(UnreadableFile):
                found[path] = Source.decode(data, path)
        return found
