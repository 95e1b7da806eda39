"""The entry point: parses the command, runs it, words its errors. The only place here that prints errors."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from pytest_gradcheck.cli import check, render, train
from pytest_gradcheck.errors import UsageProblem

#: Exit codes: all is well; a gradient is wrong or a run failed; the question was wrong.
PASSED, FAILED, USAGE = 0, 1, 2
INTERRUPTED = 130

COMMANDS = (check, train, render)


def main(arguments: Sequence[str]) -> int:
    """Runs one command.

    Args:
        arguments: What stands on the command line after `python -m pytest_gradcheck`.

    Returns:
        0 where everything passed, 1 where a check or run failed, 2 where the question was wrong, 130 after Ctrl-C.
    """
    chosen = parser().parse_args(arguments)
    chosen.rerun = shlex.join(["python", "-m", "pytest_gradcheck", *arguments])
    try:
        return PASSED if chosen.run(chosen) else FAILED
    except UsageProblem as problem:
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201  a command line prints
        return USAGE
    except KeyboardInterrupt as stopped:
        print(str(stopped) or "interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(
        prog="python -m pytest_gradcheck",
        description="Gradient checks and smoke training without a test file, and reports as HTML.",
        epilog="exit codes: 0 all passed, 1 something failed, 2 the question was wrong",
    )
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return whole
