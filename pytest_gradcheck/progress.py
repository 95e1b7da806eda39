"""A live line on a terminal while a long check runs; nothing anywhere else, so that no log ever holds one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

#: Seconds before the line appears, and between two changes of it.
PATIENCE, INTERVAL = 2.0, 0.2


class LiveLine:
    """Shows what a check is at, on a line that is taken away at the end.

    Args:
        reporter: pytest's own.
        name: What is checked.
        uncaptured: A context in which pytest does not capture what is written.
        clock: Seconds, from any starting point.
    """

    def __init__(
        self,
        reporter: pytest.TerminalReporter,
        name: str,
        uncaptured: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter, self._name, self._uncaptured, self._clock = reporter, name, uncaptured, clock
        self._started = self._next = clock()
        self._next += PATIENCE
        self._shown = False

    def __call__(self, said: str) -> None:
        """Says what is being done now; most calls do nothing."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + INTERVAL
        with self._uncaptured():
            if not self._shown:
                self._reporter.ensure_newline()
            self._reporter.rewrite(f"gradcheck {self._name}: {said} ({now - self._started:.0f} s)", erase=True)
            self._reporter.flush()
        self._shown = True

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown:
            with self._uncaptured():
                self._reporter.rewrite("", erase=True)
                self._reporter.rewrite("")
                self._reporter.flush()


@contextmanager
def live(config: pytest.Config, name: str) -> Iterator[Callable[[str], None] | None]:
    """A live line for the length of a block; None where there is no terminal to show it on."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not reporter.isatty or os.environ.get("CI") or config.get_verbosity() < 0:
        yield None
        return
    capturing = config.pluginmanager.getplugin("capturemanager")
    line = LiveLine(reporter, name, capturing.global_and_fixture_disabled if capturing else nullcontext)
    try:
        yield line
    finally:
        line.clear()
