"""The pytest side of smoke runs. Loading this module imports neither torch nor numpy; using a fixture does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_gradcheck import launch
from pytest_gradcheck.errors import TrainingFailure, UsageProblem
from pytest_gradcheck.lazy import load
from pytest_gradcheck.smoke_marks import forced_remedies

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from pytest_gradcheck.data.loader import FashionMnist
    from pytest_gradcheck.model.health import GradientFlow
    from pytest_gradcheck.model.training import TrainingReport

R = TypeVar("R", "TrainingReport", "GradientFlow")

#: The seed of a test that uses these fixtures, so that a model built in its body has the same weights in any order.
SEED = 0


@pytest.fixture
def smoke_train(request: pytest.FixtureRequest, gradcheck_device: str) -> Iterator[Callable[..., TrainingReport]]:
    """Train for a few steps; a failure fails the test.

    A function with the arguments of `pytest_gradcheck.train_smoke`, whose `device` defaults to the one under test. It
    returns the run, or raises `TrainingFailure` with the run's text. The test's body starts from seed 0; afterwards the
    global random generators are as before.
    """
    train: Callable[..., TrainingReport] = load("pytest_gradcheck.training", "train_smoke")

    def run(model: Any, batches: Any, **options: Any) -> TrainingReport:
        __tracebackhide__ = True
        from dataclasses import replace

        asked = {"device": gradcheck_device, **options, **forced_remedies(request.config)}
        try:
            report = train(model, batches, **asked)
        except UsageProblem as problem:
            raise problem.with_traceback(None)  # noqa: B904  its cause, the user's own error, stays; the run's frames go
        report = replace(report, rerun=" ".join([*launch.command(), f'pytest "{request.node.nodeid}"']))
        _record(request, report)
        if not report.passed:
            raise TrainingFailure(str(report), report)
        return report

    with load("pytest_gradcheck.training.state", "seeded")(SEED):
        yield run


@pytest.fixture
def gradient_flow(request: pytest.FixtureRequest, gradcheck_device: str) -> Iterator[Callable[..., GradientFlow]]:
    """One forward and backward pass, and how gradients change with depth.

    A function with the arguments of `pytest_gradcheck.gradient_flow`, whose `device` defaults to the one under test.
    The test's body starts from seed 0, as with `smoke_train`.
    """
    flow: Callable[..., GradientFlow] = load("pytest_gradcheck.training", "gradient_flow")

    def run(model: Any, batch: Any, **options: Any) -> GradientFlow:
        __tracebackhide__ = True
        try:
            found = flow(model, batch, **{"device": gradcheck_device, **options})
        except UsageProblem as problem:
            raise problem.with_traceback(None)  # noqa: B904  as above
        return _record(request, found)

    with load("pytest_gradcheck.training.state", "seeded")(SEED):
        yield run


@pytest.fixture
def fashion_mnist(request: pytest.FixtureRequest, gradcheck_device: str) -> Iterator[Callable[..., FashionMnist]]:
    """Fashion-MNIST, or the drawn stand-in where its files are absent.

    A function with the arguments of `pytest_gradcheck.fashion_mnist`, whose `root` defaults to the option
    `--fashion-mnist-root`, then to the ini value `fashion_mnist_root`, and whose `device` defaults to the one under
    test. The test's body starts from seed 0, as with `smoke_train`.
    """
    loader: Callable[..., FashionMnist] = load("pytest_gradcheck.data.loader", "fashion_mnist")
    root = configured_root(request.config)

    def batches(*arguments: Any, **options: Any) -> FashionMnist:
        return loader(*arguments, **{"device": gradcheck_device, "root": root, **options})

    with load("pytest_gradcheck.training.state", "seeded")(SEED):
        yield batches


def _record(request: pytest.FixtureRequest, report: R) -> R:
    """Keeps a report for the session's, and hands it on."""
    from pytest_gradcheck.reporting import record

    record(request.node, report)
    return report


def configured_root(config: pytest.Config) -> str | os.PathLike[str] | None:
    """The Fashion-MNIST root of the command line, else of the ini file, else None (the environment is asked later)."""
    option: str | None = config.getoption("fashion_mnist_root")
    ini: str | None = config.getini("fashion_mnist_root")
    return option or ini or None
