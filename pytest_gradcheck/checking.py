"""From a pytest item to a check and back: settings, seed, inputs, the verdict as an exception, a warning or nothing."""

from __future__ import annotations

import inspect
import os
import shlex
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from pytest_gradcheck import launch
from pytest_gradcheck.errors import GradcheckWarning, GradientMismatch, UsageProblem
from pytest_gradcheck.lazy import load
from pytest_gradcheck.marker import Marker
from pytest_gradcheck.model import Report, Verdict
from pytest_gradcheck.options import KEY
from pytest_gradcheck.progress import live
from pytest_gradcheck.reporting import record
from pytest_gradcheck.settings import NAMES, suggestion

CHECK = "a gradient check"


class Checker:
    """What the `gradcheck` fixture is: `check_gradients` with this test's settings, raising on a mismatch.

    Args:
        item: The test.
        marker: Its mark, or None.
        device: The device under test, or None for that of the inputs.
        marked: Whether the mark itself asks, rather than a line of the test.
    """

    def __init__(self, item: pytest.Item, marker: Marker | None, device: str | None, marked: bool = False) -> None:
        self._item = item
        self._marked = marked
        self._marker = marker or Marker()
        self._device = device
        self.calls = 0

    def __call__(
        self,
        subject: Any,
        *inputs: Any,
        kwargs: Mapping[str, Any] | None = None,
        wrt: Sequence[str] | None = None,
        **options: Any,
    ) -> Report:
        """Checks a subject as `check_gradients` does; the marker's inputs stand in where the call has none.

        Raises:
            GradientMismatch: The check did not pass; its text says what, where and how big.
            UsageProblem: The question cannot be answered; the message says what to do.
        """
        __tracebackhide__ = True
        self.calls += 1
        _refuse_unknown(options)
        if not inputs or kwargs is None:
            drawn_inputs, drawn_kwargs = self._drawn(subject, asked=not inputs and kwargs is None)
            inputs = inputs or drawn_inputs
            kwargs = drawn_kwargs if kwargs is None else kwargs
        parsed = self._item.config.stash[KEY]
        question = load("pytest_gradcheck.engine", "Question", CHECK)(
            subject, inputs, kwargs, wrt if wrt is not None else self._marker.wrt, sweeps=bool(parsed.reports)
        )
        weaker = [
            self._marker.options,
            {"device": self._device},
            parsed.command_line,
            parsed.ini,
            {"seed": seed(self._item)},
        ]
        run = load("pytest_gradcheck.engine", "run", CHECK)
        try:
            with live(self._item.config, self._item.name) as line:
                asked = replace(question, progress=line)
                report: Report = run(asked, options, *weaker, rerun=rerun(self._item, self._marker))
        except UsageProblem as problem:
            raise problem.with_traceback(None)  # noqa: B904  its cause, the user's own error, stays; the engine's frames go
        report = self._with_own_findings(report, question)
        record(self._item, report)
        if not report.passed:
            raise GradientMismatch(str(report), report)
        if report.verdict is not Verdict.GOOD:
            warning = GradcheckWarning(str(report))
            if self._marked:
                path, start, _ = self._item.reportinfo()
                warnings.warn_explicit(warning, GradcheckWarning, str(path), (start or 0) + 1)
            else:
                warnings.warn(warning, stacklevel=2)
        return report

    def _with_own_findings(self, report: Report, question: Any) -> Report:
        """The report with what the user's own checks found."""
        found = self._item.ihook.pytest_gradcheck_findings(
            item=self._item,
            subject=question.subject,
            inputs=tuple(question.inputs),
            kwargs=dict(question.kwargs or {}),
            report=report,
        )
        own = tuple(finding for findings in found for finding in findings)
        return replace(report, findings=(*report.findings, *own)) if own else report

    def _drawn(self, subject: Any, asked: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the mark says; where neither it nor the call names an input, what the annotations say."""
        drawn: tuple[tuple[Any, ...], dict[str, Any]] = load("pytest_gradcheck.subjects.draw", "draw", CHECK)(
            self._marker, seed(self._item, self._marker), subject if asked else None
        )
        return drawn


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    """Refuses a keyword that is no option: it may be meant for the forward.

    Raises:
        UsageProblem: There is one; says where the forward's keywords go.
    """
    __tracebackhide__ = True
    known = ("kwargs", "wrt", *NAMES)
    for name in options:
        if name not in known:
            raise UsageProblem(
                f"unknown option {name!r}{suggestion(name, known)}; known are {', '.join(known)}; a keyword of the "
                f"forward goes into kwargs={{{name!r}: ...}}"
            )


def check_returned(item: pytest.Item, marker: Marker, result: Any, checker: Checker, used_fixture: bool) -> None:
    """Checks what a marked test function returned: a subject, or a subject with its inputs.

    Raises:
        GradientMismatch: The check did not pass.
        UsageProblem: The test returned nothing although it did not use the fixture, or inputs came from two sides.
    """
    __tracebackhide__ = True
    if inspect.iscoroutine(result):
        result.close()
        raise UsageProblem(
            f"{item.name} is an async test: a gradcheck mark takes the subject that a plain test returns"
        )
    if result is None:
        if used_fixture:
            return
        raise UsageProblem(
            f"{item.name} is marked with gradcheck but returned None: return the subject, or (subject, *inputs), "
            f"or call the gradcheck fixture"
        )
    subject, inputs = (result[0], result[1:]) if isinstance(result, tuple) and result else (result, ())
    if inputs and marker.has_inputs:
        raise UsageProblem(
            f"{item.name} returned inputs, but its gradcheck mark names inputs too: give them in one place"
        )
    subject = load("pytest_gradcheck.subjects.draw", "build", CHECK)(subject, marker)
    checker(subject, *inputs)


def seed(item: pytest.Item, marker: Marker | None = None) -> int:
    """The seed of an item: what the marker, the command line or the ini says, else one made of its node id."""
    parsed = item.config.stash[KEY]
    for layer in (marker.options if marker else {}, parsed.command_line, parsed.ini):
        if layer.get("seed") is not None:
            return int(layer["seed"])
    return zlib.crc32(item.nodeid.encode())


def rerun(item: pytest.Item, marker: Marker | None = None) -> str:
    """The command that repeats an item's check with the same seed, from the directory pytest was called in."""
    file, _, rest = item.nodeid.partition("::")
    node = f"{os.path.relpath(item.config.rootpath / file, item.config.invocation_params.dir)}::{rest}"
    words = [*launch.command(), "pytest", shlex.quote(node), "--gradcheck", f"--gradcheck-seed={seed(item, marker)}"]
    return " ".join([*words, *item.config.stash[KEY].spelled()])


@contextmanager
def seeded(item: pytest.Item, marker: Marker | None) -> Iterator[None]:
    """Seeds the global generators for one item, so that its report depends neither on order nor on other tests."""
    try:
        replayed = load("pytest_gradcheck.subjects.randomness", "seeded", CHECK)
    except UsageProblem:
        yield  # without torch the check itself will say so, in its own words
        return
    with replayed(seed(item, marker)):
        yield
