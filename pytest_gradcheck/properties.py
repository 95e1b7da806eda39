"""What a test's report says of its checks: user properties, which junit files, pytest-html and pytest-xdist carry.

Each check adds four properties in this order, so that a test with several checks can be read back: `..._verdict`,
`..._seconds`, `..._source` (the line of the backward, or of the failing operation; empty where unknown) and
`..._report` (the whole text where a reader must look at it, else its first line). The prefix is the kind:
`gradcheck`, `smoke_train` or `gradient_flow`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pytest

    from pytest_gradcheck.model import GradientFlow, Report, TrainingReport

KINDS = ("gradcheck", "smoke_train", "gradient_flow")
#: Verdicts that nobody needs to look at.
FINE = frozenset({"GOOD", "PASSED"})
#: How the text of a gradient check begins a line about a warning.
_WARNING = "warning: "


class Said(NamedTuple):
    """One check of one test: its kind, verdict, seconds, the source line it concerns, and its text."""

    kind: str
    verdict: str
    seconds: float
    source: str
    text: str

    @property
    def headline(self) -> str:
        """The first line of the text."""
        return self.text.partition("\n")[0]

    @property
    def warnings(self) -> list[str]:
        """The warnings of a gradient check."""
        return [line.removeprefix(_WARNING) for line in self.text.splitlines() if line.startswith(_WARNING)]


def attach(item: pytest.Item, report: Report | TrainingReport | GradientFlow) -> None:
    """Add the properties of one report to an item."""
    said = _said(report)
    for name, value in (
        ("verdict", said.verdict),
        ("seconds", round(said.seconds, 3)),
        ("source", said.source),
        ("report", said.headline if said.verdict in FINE and not said.warnings else said.text),
    ):
        item.user_properties.append((f"{said.kind}_{name}", value))


def read(report: pytest.TestReport) -> Iterator[Said]:
    """The checks that a test's report carries; none in the reports of its setup, teardown and subtests."""
    if report.when != "call" or hasattr(report, "context"):  # a subtest's: the test's own repeats what it carries
        return
    values: dict[str, Any] = {}
    for name, value in report.user_properties:
        kind, _, part = name.rpartition("_")
        if kind not in KINDS:
            continue
        values[part] = value
        if part == "report":
            yield Said(kind, values["verdict"], float(values["seconds"]), values["source"], str(value))


def _said(report: Report | TrainingReport | GradientFlow) -> Said:
    from pytest_gradcheck.model import Report, TrainingReport

    if isinstance(report, Report):
        return Said("gradcheck", report.verdict.value, report.seconds, report.source or "", str(report))
    if isinstance(report, TrainingReport):
        source = report.failure.source if report.failure else None
        verdict = "PASSED" if report.passed else "FAILED"
        return Said("smoke_train", verdict, report.seconds, source or "", str(report))
    return Said("gradient_flow", "PASSED" if report.healthy else "SUSPICIOUS", 0.0, "", str(report))
