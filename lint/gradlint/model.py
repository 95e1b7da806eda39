"""What a lint run says, as plain data: positions, edits, fixes, violations and the description of a rule.

Everything here is frozen, picklable and free of libcst, so that a warm run can read, sort and print cached violations
without importing the parser. `Violation.to_dict` is the element of the JSON output, and `from_dict` reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from gradlint.triggers import TORCH, has_text, has_word, without_dunders

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(str, Enum):
    """How bad a violation is; info and pedantic ones are shown only when their code is selected."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    PEDANTIC = "pedantic"


class Safety(str, Enum):
    """Whether a fix keeps what the code was meant to do (safe) or needs a reader's eye (unsafe)."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class Position(NamedTuple):
    """A place in a file: line and column from 1, in code points."""

    line: int
    column: int


class Range(NamedTuple):
    """A stretch of a file; the end is exclusive."""

    start: Position
    end: Position

    def to_dict(self) -> dict[str, int]:
        """The four keys that every located thing of the JSON output carries."""
        (line, column), (end_line, end_column) = self
        return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Range:
        """Read the four keys back."""
        return cls(Position(data["line"], data["column"]), Position(data["end_line"], data["end_column"]))


@dataclass(frozen=True)
class Edit:
    """Replace the text of a range by `content`; an empty range inserts, an empty content deletes."""

    range: Range
    content: str

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON output."""
        return {**self.range.to_dict(), "content": self.content}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Edit:
        """Read one back."""
        return cls(Range.from_dict(data), data["content"])


@dataclass(frozen=True)
class Fix:
    """Edits that belong together: all are applied or none; they never overlap."""

    safety: Safety
    edits: tuple[Edit, ...]

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON output."""
        return {"safety": self.safety.value, "edits": [edit.to_dict() for edit in self.edits]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fix:
        """Read one back."""
        return cls(Safety(data["safety"]), tuple(Edit.from_dict(edit) for edit in data["edits"]))


@dataclass(frozen=True)
class Related:
    """A second place that makes a violation true: the ReLU, the loss, the other layers."""

    message: str
    path: str
    range: Range

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON output."""
        return {"message": self.message, "path": self.path, **self.range.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Related:
        """Read one back."""
        return cls(data["message"], data["path"], Range.from_dict(data))


@dataclass(frozen=True)
class Violation:
    """One finding of one rule at one place.

    `statement` is the range of lines of the statement it stands in, where a suppression comment may be written;
    it is not part of the JSON output.
    """

    code: str
    name: str
    level: Level
    message: str
    path: str
    range: Range
    fix: Fix | None = None
    related: tuple[Related, ...] = ()
    fingerprint: str = ""
    statement: tuple[int, int] = (0, 0)

    @property
    def sort_key(self) -> tuple[str, Range, str, str]:
        """The order of every output: path, line, column, code."""
        return (self.path, Range(self.range.start, self.range.start), self.code, self.message)

    def to_dict(self) -> dict[str, Any]:
        """The element of the JSON output."""
        return {
            "code": self.code,
            "name": self.name,
            "level": self.level.value,
            "message": self.message,
            "path": self.path,
            **self.range.to_dict(),
            "fix": self.fix.to_dict() if self.fix else None,
            "related": [place.to_dict() for place in self.related],
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Violation:
        """Read an element of the JSON output back (without `statement`, which it does not hold)."""
        return cls(
            data["code"],
            data["name"],
            Level(data["level"]),
            data["message"],
            data["path"],
            Range.from_dict(data),
            Fix.from_dict(data["fix"]) if data["fix"] else None,
            tuple(Related.from_dict(place) for place in data["related"]),
            data["fingerprint"],
        )


@dataclass(frozen=True)
class RuleInfo:
    """One line of the registry: all that selection, prefiltering and listing need to know of a rule.

    `triggers` are texts, and `words` whole words (`.data`: an attribute), of which at least one must be in a file for
    the rule to fire there; each word of `also` must be there, too. A file without the text `torch` is never looked at,
    except by the linter's own rules. `fix` is the best safety its fixes have, None without. `options` are the names and
    default values of what `[tool.gradlint.rules.CODE]` may set. `of_modules`: it only looks at classes that are modules
    and fires in no file without one.
    """

    code: str
    name: str
    level: Level
    fix: Safety | None = None
    triggers: tuple[str, ...] = ()
    off: bool = False
    options: tuple[tuple[str, bool | int | float | str], ...] = ()
    words: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    of_modules: bool = False

    @property
    def default(self) -> bool:
        """Whether the rule is in the default set: errors and warnings, unless a measurement moved it out."""
        return not self.off and self.level in (Level.ERROR, Level.WARNING)

    def may_fire(self, data: bytes) -> bool:
        """Whether a file with these bytes can hold a violation of this rule."""
        if TORCH not in data or not all(has_word(data, (word,)) for word in self.also):
            return False
        return not (self.triggers or self.words) or has_text(data, self.triggers) or has_word(data, self.words)

    def needs_modules(self, data: bytes) -> bool:
        """Whether the rule, which may fire on these bytes, cannot in a file without a class that is a module.

        Other rules can, but not for names such as `__init__` alone.
        """
        return self.of_modules or not self.may_fire(without_dunders(data))
