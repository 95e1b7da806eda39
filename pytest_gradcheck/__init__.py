"""Gradient checks and smoke training for PyTorch, as a pytest plugin and as plain functions.

Importing this package imports neither torch nor numpy nor pytest: names load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gradcheck import marks, strategies
from pytest_gradcheck.errors import GradcheckError, GradcheckWarning, GradientMismatch, TrainingFailure, UsageProblem

if TYPE_CHECKING:
    from pytest_gradcheck.api import check_gradients
    from pytest_gradcheck.data.loader import fashion_mnist
    from pytest_gradcheck.model import Failure, Finding, Limits, Report, TensorCheck, TrainingReport, Verdict
    from pytest_gradcheck.models import alexnet
    from pytest_gradcheck.training import gradient_flow, train_smoke
    from pytest_gradcheck.training.watch import watch

__version__ = "0.1.0"

#: Where each name comes from. Even the plain data wait: every pytest run in the environment loads this package.
_LAZY = {
    **dict.fromkeys(
        ("Failure", "Finding", "Limits", "Report", "TensorCheck", "TrainingReport", "Verdict"), "pytest_gradcheck.model"
    ),
    "alexnet": "pytest_gradcheck.models",
    "check_gradients": "pytest_gradcheck.api",
    "fashion_mnist": "pytest_gradcheck.data.loader",
    "gradient_flow": "pytest_gradcheck.training",
    "train_smoke": "pytest_gradcheck.training",
    "watch": "pytest_gradcheck.training.watch",
}

__all__ = [
    "Failure",
    "Finding",
    "GradcheckError",
    "GradcheckWarning",
    "GradientMismatch",
    "Limits",
    "Report",
    "TensorCheck",
    "TrainingFailure",
    "TrainingReport",
    "UsageProblem",
    "Verdict",
    "alexnet",
    "check_gradients",
    "fashion_mnist",
    "gradient_flow",
    "marks",
    "strategies",
    "train_smoke",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_gradcheck.lazy import load

    return load(_LAZY[name], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
