"""The linter's own violations, and the fingerprints of all: what needs no parser."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from gradlint.model import Position, Range, RuleInfo, Violation
from gradlint.rules import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.errors import UnreadableFile
    from gradlint.source import Source


def unreadable(path: str, problem: UnreadableFile) -> Violation:
    """The GRD001 of a file."""
    return own_violation(UNREADABLE, path, problem.reason, problem.position)


def own_violation(info: RuleInfo, path: str, message: str, at: Position = Position(1, 1)) -> Violation:  # noqa: B008 - a tuple
    """A violation of one of the linter's own rules, which stands at a place and not at a node."""
    place = Range(at, at)
    fingerprint = _digest(path, info.code, message)
    return Violation(info.code, info.name, info.level, message, path, place, fingerprint=fingerprint)


def with_fingerprints(violations: Iterable[Violation], source: Source) -> list[Violation]:
    """Name each violation by its file, code and line's text, so that the name outlives changes elsewhere.

    Equal lines with equal violations are told apart by their order.
    """
    seen: Counter[tuple[str, str]] = Counter()
    named: list[Violation] = []
    for violation in violations:
        if violation.fingerprint:
            named.append(violation)
            continue
        key = (violation.code, " ".join(source.line(violation.range.start.line).split()))
        named.append(replace(violation, fingerprint=_digest(violation.path, *key, str(seen[key]))))
        seen[key] += 1
    return named


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]
