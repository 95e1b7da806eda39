"""The pytest side of `--fashion-mnist-download`: when to fetch, what the terminal shows, how a failure is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_gradcheck.data import download, roots
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.training_fixtures import configured_root

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from pytest_gradcheck.data.download import Progress

_MEGA = 1e6


def fetch_fashion_mnist(config: pytest.Config) -> None:
    """Fetch what is missing into the user's cache directory, once a session.

    Nothing is fetched where a root is named (its files are the user's), where both splits are there already, by
    `--collect-only`, or by a worker of pytest-xdist (its controller has done it).

    Raises:
        pytest.UsageError: A file could not be fetched or written.
    """
    if config.option.collectonly or hasattr(config, "workerinput"):
        return
    if roots.named_root(configured_root(config)) is not None:
        return
    if all(roots.find(None, split) for split in ("train", "test")):
        return
    reporter: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    try:
        download.fetch(progress=_shown(reporter) if reporter else None)
    except UsageProblem as problem:
        raise pytest.UsageError(str(problem)) from None


def _shown(reporter: TerminalReporter) -> Progress:
    """A line that is rewritten on a terminal; a line a file elsewhere, so that a log stays short."""

    def progress(name: str, done: int, size: int) -> None:
        line = f"Fashion-MNIST: {name} {done / _MEGA:.1f} of {size / _MEGA:.1f} MB"
        if reporter.isatty:
            reporter.rewrite(line, erase=True)
        if done == size:
            reporter.write_line("" if reporter.isatty else line)

    return progress
