"""What a run is asked to do, resolved once: what rules may ask for, and how files are judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.globs import matches
from gradlint.model import Level
from gradlint.profiles import DEFAULT, PROFILES
from gradlint.selection import Selection, codes_of, select

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.model import RuleInfo, Violation

_ORDER = tuple(Level)


@dataclass(frozen=True)
class Settings:
    """What the rules themselves may ask for: the torch version the code is for, and options by rule code."""

    target_torch: tuple[int, int] | None = None
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How one file is judged: the rules that run, the levels that are shown, and what the rules may ask for."""

    selection: Selection
    settings: Settings = field(default_factory=Settings)
    profile: str = DEFAULT

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """The lines of the registry that run."""
        return self.selection.rules

    def judged(self, violation: Violation) -> Violation:
        """The violation at the level that the profile gives it; a profile only weakens."""
        level = PROFILES[self.profile].get(violation.code, violation.level)
        return replace(violation, level=max(level, violation.level, key=_ORDER.index))

    def shows(self, violation: Violation) -> bool:
        """Whether a violation of this level is shown."""
        return self.selection.shows(violation.code, violation.level)

    @property
    def key(self) -> str:
        """All of the plan as text, for the cache."""
        chosen = sorted(self.selection.active), sorted(self.selection.explicit)
        options = sorted((code, sorted(given.items())) for code, given in self.settings.options.items())
        return repr((chosen, self.settings.target_torch, options, self.profile))


@dataclass(frozen=True)
class CodeLists:
    """The code lists of the command line; None where not given."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """One `[tool.gradlint]` table, checked; `root` is the folder that its patterns are relative to."""

    root: Path
    file: Path | None = None
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    target_torch: tuple[int, int] | None = None
    profile: str = DEFAULT
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def relative(self, path: Path) -> str | None:
        """The posix path from the root; None for what is not below it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else None

    def excludes(self, path: Path) -> bool:
        """Whether `exclude` means a file or folder."""
        place = self.relative(path) if self.exclude else None
        return place is not None and any(matches(pattern, place) for pattern in self.exclude)

    def selection(self, given: CodeLists) -> Selection:
        """The selection of this table under that of the command line, whose `--select` starts afresh."""
        if given.select is not None:
            return select(given.select, given.ignore, given.extend_select, "--select")
        ignored, extra = (*self.ignore, *given.ignore), (*self.extend_select, *given.extend_select)
        return select(self.select, ignored, extra, str(self.file))

    def plan(self, path: Path, selection: Selection) -> Plan:
        """How one file is judged."""
        place = self.relative(path) or path.name
        ignored = [codes for pattern, codes in self.per_file_ignores.items() if matches(pattern, place)]
        if ignored:
            selection = selection.without(codes_of((code for codes in ignored for code in codes), str(self.file)))
        return Plan(selection, Settings(self.target_torch, self.options), self.profile)
