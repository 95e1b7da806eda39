"""Applies fixes to text: what conflicts waits for the next round, what breaks the syntax is dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradlint.edits import applied, compatible, is_fixable
from gradlint.errors import UnreadableFile
from gradlint.parse import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradlint.model import Fix, Safety, Violation
    from gradlint.source import Source

_MOST_ROUNDS: Final = 50


def fix_all(
    source: Source, most: Safety, lint: Callable[[Source], list[Violation]]
) -> tuple[Source, list[Violation], int]:
    """Fix and lint again until nothing is left to fix: the new source, what remains, and how many were fixed."""
    violations = lint(source)
    seen = {source.text}
    fixed = 0
    for _ in range(_MOST_ROUNDS):
        fixes = [violation.fix for violation in violations if violation.fix and is_fixable(violation, most)]
        changed, count = _one_round(source, fixes)
        if not count or changed.text in seen:
            break
        left = lint(changed)
        seen.add(changed.text)
        source, violations, fixed = changed, left, fixed + count
    return source, violations, fixed


def _one_round(source: Source, fixes: Sequence[Fix]) -> tuple[Source, int]:
    """Apply the fixes that do not conflict; if the result does not parse, only those that do one by one."""
    chosen = compatible(fixes)
    changed = _parsed(source, chosen)
    if changed is not None:
        return changed, len(chosen)
    kept: list[Fix] = []
    for fix in chosen:
        if _parsed(source, [*kept, fix]) is not None:
            kept.append(fix)
    return _parsed(source, kept) or source, len(kept)


def _parsed(source: Source, fixes: Sequence[Fix]) -> Source | None:
    """The source after the edits; None where it cannot be parsed or written in the file's encoding."""
    changed = replace(source, text=applied(source, {edit for fix in fixes for edit in fix.edits}))
    try:
        changed.encode(changed.text)
        parse(changed)
    except (UnicodeError, UnreadableFile):
        return None
    return changed
