"""What gradlint raises: nothing else crosses a module boundary on purpose."""

from __future__ import annotations

from gradlint.model import Position


class GradlintError(Exception):
    """Base of every error that gradlint raises on purpose."""


class UsageProblem(GradlintError):
    """The request itself is wrong: an unknown code, option, key or path (exit status 2)."""


class UnreadableFile(GradlintError):
    """A file that exists but cannot be decoded or parsed; the engine reports it as GRD001."""

    def __init__(self, reason: str, position: Position | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position or Position(1, 1)


class InternalError(GradlintError):
    """gradlint itself failed: one sentence that names the file (exit status 2)."""
