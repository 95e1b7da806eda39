"""What goes to a worker and what comes back: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.model import Safety, Violation
    from gradlint.project_files import Place
    from gradlint.settings import Plan


@dataclass(frozen=True)
class Job:
    """A file to lint: its bytes, the name it is reported by (relative to its project), its place and its plan.

    `is_kept`: what comes of it goes to a cache, which has to know what was asked of other files.
    """

    name: str
    data: bytes
    place: Place
    plan: Plan
    fix: Safety | None = None
    is_kept: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of a job: what is shown, what was asked of other files, and the new bytes where fixes changed it."""

    violations: tuple[Violation, ...]
    needs: dict[str, str | None] = field(default_factory=dict)
    fixed: bytes | None = None
    fixes: int = 0
