"""The report of a session: every item's reports travel with its test report, and the controller writes the file."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Generator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gradcheck.environment import environment
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.options import KEY
from pytest_gradcheck.properties import attach

if TYPE_CHECKING:
    from pytest_gradcheck.model import GradientFlow, Report, TrainingReport

_FOUND = pytest.StashKey[list[Any]]()
#: Items that belong in the report even where they end before there is anything to report.
_FIXTURES = frozenset({"gradcheck", "smoke_train", "gradient_flow"})
#: Characters of a failure's text that are kept where there is no report.
_MESSAGE = 4000


def record(item: pytest.Item, report: Report | TrainingReport | GradientFlow) -> None:
    """Hangs a report's properties on its item, and keeps the report for the session's where one was asked for."""
    attach(item, report)
    if item.config.stash[KEY].records:
        item.stash.setdefault(_FOUND, []).append(report)


class Reporter:
    """The hooks of a run that writes files; registered in the controller and in every worker.

    Args:
        config: Of the run.
        paths: Reports to write.
        events: Folder for TensorBoard's event files of training runs, or None.
    """

    def __init__(self, config: pytest.Config, paths: tuple[Path, ...], events: Path | None = None) -> None:
        self._config = config
        self._paths = paths
        self._events = events
        self._started = time.monotonic()
        self._entries: list[dict[str, Any]] = []
        self._environment: dict[str, str] = {}
        self._said: list[str] = []

    def pytest_report_header(self) -> str | None:
        """Says at once, not after an hour, that the HTML cannot be made here."""
        from pytest_gradcheck.render.document import INSTALL, missing

        lacking = missing() if any(path.suffix.lower() == ".html" for path in self._paths) else None
        if lacking is None:
            return None
        return f"gradcheck: an HTML report needs {lacking}, which is not installed: {INSTALL}; JSON is written instead"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Hangs an item's reports on its test report, in types that pytest-xdist can send."""
        report = yield
        entries = _entries(item, report)
        if entries:
            report.gradcheck = {"environment": environment(), "entries": entries}
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collects what the items of this process, or of the workers, have found."""
        found = getattr(report, "gradcheck", None)
        if found:
            worker = getattr(report, "worker_id", None)
            self._entries += [{**entry, "worker": None if worker == "master" else worker} for entry in found["entries"]]
            self._environment = self._environment or found["environment"]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that could not be collected is missing from the report unless it says so."""
        if report.failed and report.nodeid not in {entry["id"] for entry in self._entries}:
            text = report.longreprtext[-_MESSAGE:]
            self._entries.append({"id": report.nodeid, "kind": "none", "outcome": "error", "message": text})

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Writes the files, also after Ctrl-C; the workers' part is written by the controller."""
        if hasattr(self._config, "workerinput") or self._config.getoption("collectonly"):
            return
        from pytest_gradcheck.model.session import Entry, SessionReport

        document = SessionReport(
            created=datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._started, 3),
            command=shlex.join(["pytest", *map(str, self._config.invocation_params.args)]),
            interrupted=exitstatus == pytest.ExitCode.INTERRUPTED or bool(session.shouldfail or session.shouldstop),
            environment=self._environment or environment(),
            entries=tuple(map(Entry.from_dict, self._entries)),
        )
        for path in self._paths:
            if not self._write(path, document):
                session.exitstatus = exitstatus or pytest.ExitCode.USAGE_ERROR
        if self._events is not None and not self._write_events(self._events, document):
            session.exitstatus = exitstatus or pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Says where the files are."""
        for line in self._said:
            terminalreporter.write_line(line)

    def _write_events(self, folder: Path, document: Any) -> bool:
        from pytest_gradcheck.render.events import write_events

        try:
            runs = len(write_events(folder, document))
        except UsageProblem as problem:
            self._said.append(f"gradcheck: {problem}")
            return False
        plural = "" if runs == 1 else "s"
        self._said.append(
            f"gradcheck: {runs} training run{plural} written for tensorboard --logdir {_near(folder, self._config)}"
        )
        return True

    def _write(self, path: Path, document: Any) -> bool:
        from pytest_gradcheck.render.document import INSTALL, missing, replace, to_json, write

        try:
            written = write(path, document)
        except OSError as error:
            kept = replace(Path(tempfile.mkdtemp(prefix="pytest-gradcheck-")) / "report.json", to_json(document))
            self._said.append(
                f"gradcheck: {path} cannot be written: {error.strerror or error}; the report is kept in {kept}, "
                f"and `python -m pytest_gradcheck render {shlex.quote(str(kept))} -o FILE` makes the HTML of it"
            )
            return False
        said = f"gradcheck: report written to {_near(written, self._config)}"
        if written.suffix.lower() != path.suffix.lower():
            said += f"; the HTML needs {missing()}, which is not installed: {INSTALL}, then "
            said += f"python -m pytest_gradcheck render {shlex.quote(_near(written, self._config))}"
        self._said.append(said)
        return True


def _entries(item: pytest.Item, report: Any) -> list[dict[str, Any]]:
    """What an item has to say at the end of one phase."""
    from pytest_gradcheck.model.session import KINDS, OUTCOMES

    found = item.stash.get(_FOUND, [])
    if report.when == "setup" and report.passed:
        return []
    item.stash[_FOUND] = []
    outcome = _outcome(report)
    if outcome not in OUTCOMES:
        return []  # such as "rerun": the report of the last attempt follows
    kinds = {kind: name for name, kind in KINDS.items()}
    plain = {"id": item.nodeid, "outcome": outcome}
    entries = [{**plain, "kind": kinds[type(each)], "report": each.to_dict()} for each in found]
    reported = any(not each.passed if hasattr(each, "passed") else False for each in found)
    if report.passed or not _concerned(item) or (reported and outcome in {"failed", "xfailed"}):
        return entries
    return [*entries, {**plain, "kind": "none", "message": _message(report)}]


def _outcome(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    return "error" if report.failed and report.when != "call" else str(report.outcome)


def _concerned(item: pytest.Item) -> bool:
    return bool(item.get_closest_marker("gradcheck") or _FIXTURES & set(getattr(item, "fixturenames", ())))


def _message(report: Any) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longreprtext)[-_MESSAGE:]


def _near(path: Path, config: pytest.Config) -> str:
    here = config.invocation_params.dir
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
