"""Gradient checks and smoke training for PyTorch, as a pytest plugin and as plain functions.

Importing this package imports neither torch nor numpy nor pytest: names load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gradcheck import marks
from pytest_gradcheck.errors import GradcheckError, GradcheckWarning, GradientMismatch, TrainingFailure, UsageProblem
from pytest_gradcheck.model import Finding, Report, TensorCheck, Verdict

if TYPE_CHECKING:
    from pytest_gradcheck.api import check_gradients

__version__ = "0.1.0"

_LAZY = {
    "check_gradients": "pytest_gradcheck.api",
}

__all__ = [
    "Finding",
    "GradcheckError",
    "GradcheckWarning",
    "GradientMismatch",
    "Report",
    "TensorCheck",
    "TrainingFailure",
    "UsageProblem",
    "Verdict",
    "check_gradients",
    "marks",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_gradcheck.lazy import load

    return load(_LAZY[name], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
