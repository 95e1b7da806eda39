"""Applies fixes to text: what conflicts waits for the next round, what breaks the syntax is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradlint.edits import compatible, is_fixable
from gradlint.errors import UnreadableFile
from gradlint.parse import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradlint.documents.document import Document
    from gradlint.model import Fix, Safety, Violation

_MOST_ROUNDS: Final = 50


def fix_all(
    document: Document, most: Safety, lint: Callable[[Document], list[Violation]]
) -> tuple[Document, list[Violation], int]:
    """Fix and lint again until nothing is left to fix: the new document, what remains, and how many were fixed."""
    violations = lint(document)
    seen = {document.shown.text}
    fixed = 0
    for _ in range(_MOST_ROUNDS):
        fixes = [violation.fix for violation in violations if violation.fix and is_fixable(violation, most)]
        changed, count = _one_round(document, fixes)
        if not count or changed.shown.text in seen:
            break
        left = lint(changed)
        seen.add(changed.shown.text)
        document, violations, fixed = changed, left, fixed + count
    return document, violations, fixed


def _one_round(document: Document, fixes: Sequence[Fix]) -> tuple[Document, int]:
    """Apply the fixes that do not conflict; if the result does not parse, only those that do one by one."""
    chosen = compatible(fixes)
    changed = _parsed(document, chosen)
    if changed is not None:
        return changed, len(chosen)
    kept: list[Fix] = []
    for fix in chosen:
        if _parsed(document, [*kept, fix]) is not None:
            kept.append(fix)
    return _parsed(document, kept) or document, len(kept)


def _parsed(document: Document, fixes: Sequence[Fix]) -> Document | None:
    """The document after the edits; None where it cannot be parsed or written in the file's encoding."""
    try:
        changed = document.changed({edit for fix in fixes for edit in fix.edits})
        changed.encode()
        parse(changed.source)
    except (UnicodeError, UnreadableFile):
        return None
    return changed
