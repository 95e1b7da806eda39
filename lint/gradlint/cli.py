"""`gradlint`: reads the command line, runs, prints. Nothing else prints, and nothing ends in a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from gradlint.arguments import COMMANDS, check_together, command_parser, lint_parser, parsed, request_of, safety_of
from gradlint.errors import GradlintError, UsageProblem
from gradlint.output import FOR_READERS, render
from gradlint.output.page import Page
from gradlint.output.terminal import Style, plain, wants_colour

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from gradlint.narrow import Narrowing
    from gradlint.run import Report

OK, PROBLEMS, FAILURE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run gradlint; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # only text files have it
    try:
        status = _command(given) if given[:1] and given[0] in COMMANDS else _lint(given)
        sys.stdout.flush()
        return status
    except GradlintError as problem:
        return _failed(str(problem))
    except BrokenPipeError:
        # The reader has gone; what is left in the buffer has no place to go.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEMS
    except KeyboardInterrupt:
        _say("gradlint: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("GRADLINT_TRACEBACK"):
            raise
        return _failed(f"internal error: {type(error).__name__}: {error}; set GRADLINT_TRACEBACK=1 to see where")


def _say(text: str, file: TextIO | None = None, end: str = "\n") -> None:
    print(text, file=file or sys.stdout, end=end)


def _failed(message: str) -> int:
    _say(f"gradlint: {plain(message)}", file=sys.stderr)
    return FAILURE


def _command(arguments: Sequence[str]) -> int:
    from gradlint import explain
    from gradlint.selection import EVERY, codes_of

    command, *rest = arguments
    given = parsed(command_parser(command), rest)
    if command == "rules":
        _say(explain.rules_as_json() if given.output_format == "json" else explain.rules_as_text())
    else:
        codes = codes_of(given.rules, "explain")
        _say(explain.pages(info for info in EVERY if info.code in codes))
    return OK


def _lint(arguments: Sequence[str]) -> int:
    from gradlint.narrow import Narrowing, write_baseline
    from gradlint.progress import Progress
    from gradlint.run import Run

    given = parsed(lint_parser(), arguments)
    check_together(given)
    run = Run(request_of(given), _read_stdin, Path.cwd())
    if given.show_files:
        _say("\n".join(map(plain, run.names())))
        return OK
    if given.show_settings:
        _say("\n\n".join(run.settings_texts()))
        return OK
    narrow = Narrowing(given.baseline, given.diff_base, Path.cwd())
    with Progress(sys.stderr) as progress:
        report = run.report(progress.show)
    if given.diff:
        return _print_diff(report, given)
    if given.write_baseline:
        _say(f"gradlint: {plain(write_baseline(report, given.write_baseline))}", file=sys.stderr)
        return OK
    return _finish(report, given, narrow)


def _read_stdin() -> bytes:
    return sys.stdin.buffer.read()


def _print_diff(report: Report, given: argparse.Namespace) -> int:
    from gradlint.output.diff import render

    text = render(report.changed)
    if given.output_file is None and sys.stdout.isatty():
        text = "\n".join(map(plain, text.split("\n")))
    _emit(text, given.output_file, sys.stdout, end="")
    count = sum(change.fixes for change in report.changed)
    _say(f"Would fix {count} problems in {len(report.changed)} files.", file=sys.stderr)
    return PROBLEMS if text and not given.exit_zero else OK


def _finish(report: Report, given: argparse.Namespace, narrow: Narrowing) -> int:
    """Write what was fixed and print what remains; the exit status."""
    unwritten = _write(report) if given.fix else []
    is_filter = given.fix and "-" in given.paths
    out = sys.stderr if is_filter else sys.stdout
    if is_filter:
        sys.stdout.buffer.write(next((one.new for one in report.changed if one.path is None), report.stdin))
        sys.stdout.buffer.flush()
    style = Style(given.output_file is None and wants_colour(out))
    page = narrow(Page(report.violations, report.contents, safety_of(given), style))
    text = render(given.output_format, page)
    if given.output_format in FOR_READERS:
        fixed = sum(change.fixes for change in report.changed)
        text = "\n".join(filter(None, (text, f"Fixed {fixed} problems." if fixed else "")))
        text = "\n\n".join(filter(None, (text, _statistics(page, given))))
        _emit(text, given.output_file, out)
    else:
        _emit(text, given.output_file, out)
        if given.statistics:
            _say(_statistics(page, given), file=sys.stderr)
    if not report.files and not report.violations:
        _say("gradlint: no Python files found", file=sys.stderr)
    for message in (*unwritten, *narrow.notes(report)):
        _say(f"gradlint: {plain(message)}", file=sys.stderr)
    if unwritten:
        return FAILURE
    return PROBLEMS if page.violations and not given.exit_zero else OK


def _statistics(page: Page, given: argparse.Namespace) -> str:
    from gradlint.output.statistics import render as statistics

    return statistics(page) if given.statistics else ""


def _write(report: Report) -> list[str]:
    """Write the fixed files; what could not be written, in words."""
    from gradlint.writing import write_atomically

    failures: list[str] = []
    for change in report.changed:
        if change.path is None:
            continue
        try:
            if change.path.read_bytes() != change.old:
                failures.append(f"{change.name}: changed while it was linted; not fixed")
            else:
                write_atomically(change.path, change.new)
        except OSError as problem:
            failures.append(f"{change.name}: cannot be written: {problem.strerror}; not fixed")
    return failures


def _emit(text: str, file: Path | None, out: TextIO, end: str = "\n") -> None:
    if file is None:
        _say(text, file=out, end=end if text else "")
        return
    from gradlint.writing import write_atomically

    try:
        write_atomically(file, f"{text}{end if text else ''}".encode(errors="backslashreplace"))
    except OSError as problem:
        raise UsageProblem(f"--output-file: {file}: {problem.strerror}") from None
