"""Many processes on one machine: pytest-xdist's workers share its cores, torchrun's ranks end as one session."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from pytest_gradcheck import launch

#: Variables by which people choose the number of threads themselves.
CHOSEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
#: Characters of a failure's text, and failures, that one rank tells the first.
_TEXT, _MOST = 4000, 20


def divide_threads() -> None:
    """Gives this worker its share of the cores, unless somebody chose a number of threads; does nothing elsewhere.

    Four workers that each start a thread a core wait for each other more than they compute.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or any(os.environ.get(name) for name in CHOSEN):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // launch.on_this_machine()[1])
    torch: Any = sys.modules.get("torch")
    if torch is None:
        os.environ["OMP_NUM_THREADS"] = str(share)  # torch reads it when it is loaded
    elif torch.get_num_threads() in {cores, cores // 2, os.cpu_count(), (os.cpu_count() or 1) // 2}:
        torch.set_num_threads(share)  # loaded by a conftest, and at its default


def set_up(config: pytest.Config) -> None:
    """Makes one session of torchrun's ranks.

    Raises:
        pytest.UsageError: The ranks were also asked to start workers.
    """
    if launch.ranks() < 2:
        return
    if config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "-n of pytest-xdist does not go with torchrun: its workers would be no ranks; leave out one of the two"
        )
    config.pluginmanager.register(RankSession(launch.rank(), launch.ranks()), "gradcheck-ranks")


class RankSession:
    """The hooks of one rank: the first speaks for all, and all end with the same status.

    Args:
        rank: Number of this process.
        size: Number of processes.
    """

    def __init__(self, rank: int, size: int) -> None:
        self._rank, self._size = rank, size
        self._failed: dict[str, str] = {}
        self._elsewhere: list[tuple[int, str, str]] = []
        self._store: Any = None
        self._unheard = io.StringIO()
        self._quiet: pytest.TerminalReporter | None = None

    def pytest_plugin_registered(self, plugin: object, manager: pytest.PytestPluginManager) -> None:
        """Keeps what the other ranks would print; it is printed after all where the first does not hear of it."""
        if self._rank and isinstance(plugin, pytest.TerminalReporter) and plugin is not self._quiet:
            self._quiet = pytest.TerminalReporter(plugin.config, self._unheard)
            manager.unregister(plugin)
            manager.register(self._quiet, "terminalreporter")

    def pytest_report_header(self) -> str:
        """Says that there are several ranks."""
        return f"gradcheck: rank {self._rank} of {self._size}, which speaks for all"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes what failed here."""
        if report.failed:
            self._failed[report.nodeid] = report.longreprtext[-_TEXT:]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes what could not be collected here."""
        if report.failed:
            self._failed[report.nodeid] = report.longreprtext[-_TEXT:]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """All ranks tell each other how they ended; the worst status is everybody's."""
        result = yield
        ranks = sys.modules.get("pytest_gradcheck.ranks")
        if ranks is not None:
            ranks.stop()  # a rank that ends early, by -x, must not leave the others waiting for it in a check
        told = self._told(int(session.exitstatus))
        if told:
            session.exitstatus = max(status for status, _ in told)
            known = told[0][1]
            self._elsewhere = [
                (rank, test, text)
                for rank, (_, failed) in enumerate(told)
                for test, text in failed.items()
                if test not in known
            ]
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Shows what failed on other ranks only."""
        for rank, test, text in self._elsewhere if self._rank == 0 else ():
            terminalreporter.section(f"rank {rank} alone failed {test}")
            terminalreporter.write_line(text)

    def pytest_unconfigure(self) -> None:
        """The others wait until the first has written everything: torchrun ends them all with the first that fails."""
        if self._store is None:
            if self._rank:
                sys.stdout.write(self._unheard.getvalue())
            return
        try:
            if self._rank == 0:
                self._store.set("pytest-gradcheck/done", "")
            else:
                self._store.wait(["pytest-gradcheck/done"])
        except RuntimeError:
            return  # the first has ended already

    def _told(self, status: int) -> list[tuple[int, dict[str, str]]]:
        """Status and failures of every rank; empty where they cannot be asked."""
        if "torch" not in sys.modules:
            return []
        from torch.distributed.rendezvous import rendezvous

        from pytest_gradcheck.ranks import patience

        mine = json.dumps([status, dict(list(self._failed.items())[:_MOST])])
        names = [f"pytest-gradcheck/end/{rank}" for rank in range(self._size)]
        try:
            store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=patience())))
            store.set(names[self._rank], mine)
            found = [json.loads(store.get(name)) for name in names]
        except (RuntimeError, ValueError):
            return []
        self._store = store
        return [(status, failed) for status, failed in found]
