"""The live line of a long check: on a terminal only, after two seconds, and gone at the end."""

from __future__ import annotations

import pytest

from pytest_gradcheck.progress import INTERVAL, PATIENCE, LiveLine

TEST = """
def test_long(gradcheck):
    gradcheck(lambda x: x.sin(), torch.randn(20))
"""
#: A terminal that runs out of patience at once.
TERMINAL = """
import pytest
import pytest_gradcheck.progress

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    pytest_gradcheck.progress.PATIENCE = 0.0
    reporter = config.pluginmanager.getplugin("terminalreporter")
    reporter.isatty = type(reporter.isatty)({tty})
"""


class Reporter:
    """Keeps what a terminal would show."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def ensure_newline(self) -> None:
        self.lines.append("\n")

    def flush(self) -> None:
        pass

    def rewrite(self, line: str, erase: bool = False) -> None:
        self.lines.append(line)


def test_the_line_waits_changes_slowly_and_goes() -> None:
    reporter, now = Reporter(), [0.0]
    line = LiveLine(reporter, "test_long", clock=lambda: now[0])  # type: ignore[arg-type]
    line("first")
    assert reporter.lines == []
    now[0] = PATIENCE + 1
    line("weight, line 3 of 8")
    now[0] += INTERVAL / 2
    line("too soon")
    assert reporter.lines == ["\n", "gradcheck test_long: weight, line 3 of 8 (3 s)"]
    line.clear()
    assert reporter.lines[2:] == ["", ""]


def test_a_short_check_leaves_no_trace() -> None:
    reporter = Reporter()
    line = LiveLine(reporter, "test_short", clock=lambda: 1.0)  # type: ignore[arg-type]
    line("first")
    line.clear()
    assert reporter.lines == []


@pytest.mark.parametrize(("tty", "ci", "shown"), [(True, False, True), (False, False, False), (True, True, False)])
def test_only_a_terminal_shows_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tty: bool, ci: bool, shown: bool
) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", "true")
    pytester.makeconftest(TERMINAL.format(tty=tty))
    pytester.makepyfile("import torch\n" + TEST)
    result = pytester.runpytest_subprocess("-p", "no:xdist")
    result.assert_outcomes(passed=1)
    assert ("gradcheck test_long: " in result.stdout.str()) is shown
