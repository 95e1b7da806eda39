"""Edits on text: which fixes may be applied, which fit together, and the text after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.model import Safety

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.model import Edit, Fix, Violation
    from gradlint.source import Source


def is_fixable(violation: Violation, most: Safety) -> bool:
    """Whether `--fix` (`most` is safe) or `--fix --unsafe-fixes` would change the file for a violation."""
    return violation.fix is not None and (violation.fix.safety is Safety.SAFE or most is Safety.UNSAFE)


def compatible(fixes: Iterable[Fix]) -> list[Fix]:
    """The fixes that can be applied together: in order of place, a fix that touches an edit made before is left out.

    Equal edits (two fixes that add the same import) count as one.
    """
    chosen: list[Fix] = []
    taken: list[Edit] = []
    for fix in sorted(fixes, key=lambda fix: min(edit.range for edit in fix.edits)):
        new = [edit for edit in fix.edits if edit not in taken]
        if new and not any(_conflict(edit, other) for edit in new for other in taken):
            chosen.append(fix)
            taken += new
    return chosen


def _conflict(one: Edit, other: Edit) -> bool:
    (start, end), (from_, to) = one.range, other.range
    return start == from_ or (start < to and from_ < end)


def applied(source: Source, edits: Iterable[Edit]) -> str:
    """The text after edits that do not conflict; new lines end as the file's first line does."""
    text = source.text
    for edit in sorted(edits, key=lambda edit: edit.range, reverse=True):
        start, end = source.offset(edit.range.start), source.offset(edit.range.end)
        text = text[:start] + source.with_newlines(edit.content) + text[end:]
    return text
