"""All that one run of checks found: the document behind `--gradcheck-report`. docs/report-schema.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pytest_gradcheck.model.gradients import Report, Verdict
from pytest_gradcheck.model.health import GradientFlow
from pytest_gradcheck.model.jsonable import known, pruned
from pytest_gradcheck.model.training import TrainingReport

FORMAT = "pytest-gradcheck report"
SESSION_VERSION = 1
#: How each kind of entry is read; an entry of another kind was written by a newer version, and keeps its message only.
KINDS: dict[str, type[Report | TrainingReport | GradientFlow]] = {
    "gradient": Report,
    "training": TrainingReport,
    "flow": GradientFlow,
}
#: Outcomes of a test, from the one a reader looks for first.
OUTCOMES = ("failed", "error", "xpassed", "passed", "xfailed", "skipped")


@dataclass(frozen=True)
class Entry:
    """One check or one run, and the test it belongs to.

    Attributes:
        id: Node id of the test, or what the command line was asked to check.
        kind: "gradient", "training", "flow", or "none" where the test ended before there was a report.
        outcome: How the test ended: "failed", "error", "xpassed", "passed", "xfailed" or "skipped".
        report: What was found; None for the kind "none" and for kinds of newer versions.
        message: Why there is no report, or why the test ended as it did; None where the report says it.
        worker: Name of the pytest-xdist worker, or None.
    """

    id: str
    kind: str
    outcome: str
    report: Report | TrainingReport | GradientFlow | None = None
    message: str | None = None
    worker: str | None = None

    @property
    def status(self) -> str:
        """One word for lists and filters: a verdict, "FAILED", "PASSED", "SKIPPED" or "ERROR"."""
        if isinstance(self.report, Report):
            return str(self.report.verdict)
        if isinstance(self.report, TrainingReport):
            return "PASSED" if self.report.passed else "FAILED"
        if isinstance(self.report, GradientFlow):
            return "PASSED" if self.report.healthy else "SUSPICIOUS"
        return "SKIPPED" if self.outcome == "skipped" else "ERROR" if self.kind == "none" else self.outcome.upper()

    @property
    def bad(self) -> bool:
        """Whether a reader must look at it: its test failed, or its report would have failed a test."""
        return self.outcome in {"failed", "error", "xpassed"}

    @property
    def badness(self) -> int:
        """Rank by which a list puts the worst first."""
        verdict = Verdict(self.status).badness if self.status in Verdict.__members__ else 0
        return 10 * (len(OUTCOMES) - OUTCOMES.index(self.outcome) if self.bad else 0) + verdict

    def to_dict(self) -> dict[str, Any]:
        """The entry in JSON's own types."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain, "report": None if self.report is None else self.report.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """The inverse of `to_dict`; keys and kinds that are not known are left out.

        Raises:
            ValueError: The report inside is of another version.
        """
        own = known(cls, data)
        reader = KINDS.get(own["kind"])
        found = own.get("report")
        own["report"] = None if found is None or reader is None else reader.from_dict(pruned(reader, found))
        if found is not None and reader is None:
            own["message"] = own.get("message") or f"this version cannot show reports of the kind {own['kind']!r}"
        return cls(**own)


@dataclass(frozen=True)
class SessionReport:
    """Every check and run of one session.

    Attributes:
        created: When it was written, ISO 8601 with the offset from UTC.
        seconds: Wall time of the session.
        command: What was called, or None.
        interrupted: Whether it ended before all tests had run.
        environment: Versions, devices and threads by their names, in the order to show them.
        entries: The checks and runs, in the order they ended.
    """

    created: str
    seconds: float
    command: str | None = None
    interrupted: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The document in JSON's own types; non-finite numbers are the strings "nan", "inf", "-inf"."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        entries = [entry.to_dict() for entry in self.entries]
        return {"format": FORMAT, "version": SESSION_VERSION, **plain, "entries": entries}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SessionReport:
        """The inverse of `to_dict`; keys that are not known are left out.

        Raises:
            ValueError: The data are no such document, or of another version.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ValueError("this is no report of pytest-gradcheck")
        if data.get("version") != SESSION_VERSION:
            said = f"this report has version {data.get('version')!r}"
            raise ValueError(f"{said}; version {SESSION_VERSION} is understood")
        own = known(cls, data)
        return cls(**{**own, "entries": tuple(map(Entry.from_dict, own.get("entries", ())))})
