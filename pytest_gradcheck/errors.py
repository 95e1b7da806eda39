"""The errors that users meet. Each carries one finished message; none of them needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gradcheck.model import Report, TrainingReport


class GradcheckError(Exception):
    """Base of every error that pytest-gradcheck raises on purpose."""


class UsageProblem(GradcheckError):
    """The question was wrong, not the gradient: a bad option, an unusable subject, missing data. Says what to do."""


class GradientMismatch(GradcheckError, AssertionError):
    """A gradient check did not pass.

    Attributes:
        report: The full `Report`; its text is the message.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[type[GradientMismatch], tuple[str, Report]]:
        return type(self), (str(self), self.report)


class TrainingFailure(GradcheckError, AssertionError):
    """A smoke run did not pass.

    Attributes:
        report: The full `TrainingReport`; its text is the message.
    """

    def __init__(self, message: str, report: TrainingReport) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[type[TrainingFailure], tuple[str, TrainingReport]]:
        return type(self), (str(self), self.report)


class GradcheckWarning(UserWarning):
    """A check that passed without being able to vouch for the gradient: SUSPICIOUS but unproven, or INCONCLUSIVE."""
