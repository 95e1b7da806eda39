"""The command line: its options, their help and what they mean together."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gradlint import __version__
from gradlint.errors import UsageProblem
from gradlint.model import Safety
from gradlint.output import FORMATS
from gradlint.selection import split, suggest
from gradlint.settings import CodeLists

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradlint.run import Request

COMMANDS = ("explain", "rules")

_DESCRIPTION = """\
Checks PyTorch model code for what makes gradients vanish, explode, go missing or lie.
It reads the code and never runs it; torch is not needed."""
_EPILOG = """\
commands:
  gradlint rules [--output-format json]   list the rules
  gradlint explain CODE|NAME ...          what a rule finds, why, and what to write instead
  (a folder called rules is ./rules)

CODES is a comma list of codes (GRD205), prefixes (GRD2), names (module-list) or ALL.
Exit status: 0 clean or all fixed, 1 problems shown or a diff printed, 2 wrong use or an internal error.

examples:
  gradlint src tests --output-format concise
  gradlint --diff --select GRD205,GRD601 .
  gradlint - --stdin-filename model.py < model.py"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, with the option that was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting."""
        wrong = message.removeprefix("unrecognized arguments: ").split()[0] if "unrecognized" in message else ""
        options = [option for option in self._option_string_actions if option.startswith("--")]
        if wrong and not wrong.startswith("-"):
            raise UsageProblem(f"unexpected argument {wrong}")
        if wrong.removeprefix("--") in COMMANDS:
            raise UsageProblem(f"unknown option {wrong}; it is a command: gradlint {wrong.removeprefix('--')}")
        if wrong:
            raise UsageProblem(f"unknown option {wrong}{suggest(wrong.split('=')[0], options)}")
        raise UsageProblem(message)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes from 1 on")
    return int(text)


def lint_parser() -> Parser:
    """The options of `gradlint [PATH ...]`."""
    parser = Parser(
        "gradlint",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files, folders or - for standard input; default: .")
    parser.add_argument("--version", action="version", version=f"gradlint {__version__}")
    rules = parser.add_argument_group("rules")
    rules.add_argument("--select", action="append", metavar="CODES", help="run these rules instead of the default set")
    rules.add_argument("--ignore", action="append", metavar="CODES", help="do not run these rules")
    rules.add_argument("--extend-select", action="append", metavar="CODES", help="run these rules, too")
    fixes = parser.add_argument_group("fixes")
    fixes.add_argument("--fix", action="store_true", help="apply safe fixes, then report what remains")
    fixes.add_argument("--unsafe-fixes", action="store_true", help="with --fix or --diff: unsafe fixes, too")
    fixes.add_argument("--diff", action="store_true", help="print what --fix would change, change nothing")
    _add_narrowing(parser.add_argument_group("new problems only"))
    _add_output(parser.add_argument_group("output"))
    _add_input(parser.add_argument_group("files and settings"))
    return parser


def _add_narrowing(narrowing: argparse._ArgumentGroup) -> None:
    narrowing.add_argument("--write-baseline", type=Path, metavar="F", help="write all problems to a file, show none")
    narrowing.add_argument("--baseline", type=Path, metavar="F", help="do not show the problems in this file")
    narrowing.add_argument("--diff-base", metavar="REV", help="only problems on lines changed since a git revision")


def _add_output(output: argparse._ArgumentGroup) -> None:
    output.add_argument("--output-format", choices=tuple(FORMATS), default="full", help="default: full")
    output.add_argument("--output-file", type=Path, metavar="F", help="write the report to a file")
    output.add_argument("--statistics", action="store_true", help="count the problems by rule")
    output.add_argument("--exit-zero", action="store_true", help="exit 0 even if problems are shown")
    output.add_argument("--show-settings", action="store_true", help="print the settings of each path and exit")
    output.add_argument("--show-files", action="store_true", help="print the files that would be linted and exit")


def _add_input(files: argparse._ArgumentGroup) -> None:
    files.add_argument("--config", type=Path, metavar="F", help="use this TOML file for all files")
    files.add_argument("--stdin-filename", metavar="F", help="what standard input is called")
    files.add_argument("--force-exclude", action="store_true", help="apply exclude to files given by name, too")
    files.add_argument("--jobs", type=_positive, metavar="N", help="processes; default: one a CPU")
    files.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")


def cpus() -> int:
    """How many processes can run at once."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def request_of(given: argparse.Namespace) -> Request:
    """The request that the options make together. Raises UsageProblem."""
    from gradlint.run import Request

    return Request(
        tuple(given.paths) or (".",),
        CodeLists(
            None if given.select is None else split(given.select, "--select"),
            split(given.ignore or (), "--ignore"),
            split(given.extend_select or (), "--extend-select"),
        ),
        safety_of(given) if given.fix or given.diff else None,
        given.jobs or cpus(),
        not given.no_cache,
        given.config,
        given.stdin_filename,
        given.force_exclude,
    )


def check_together(given: argparse.Namespace) -> None:
    """Raise UsageProblem for options that say different things."""
    changing = next((option for option in ("fix", "diff") if getattr(given, option)), None)
    narrowing = next((each for each in ("write_baseline", "baseline", "diff_base") if getattr(given, each)), None)
    if changing and narrowing:
        option = f"--{narrowing.replace('_', '-')}"
        raise UsageProblem(f"--{changing} changes files whatever their age, {option} does not: give one of them")


def safety_of(given: argparse.Namespace) -> Safety:
    """The weakest safety of a fix that counts."""
    return Safety.UNSAFE if given.unsafe_fixes else Safety.SAFE


def command_parser(command: str) -> Parser:
    """The options of `gradlint rules` and `gradlint explain`."""
    parser = Parser(f"gradlint {command}", allow_abbrev=False, description=f"gradlint {command}")
    if command == "rules":
        parser.description = "Lists every rule: code, name, level, fix and whether it is in the default set."
        parser.add_argument("--output-format", choices=("text", "json"), default="text", help="default: text")
    else:
        parser.description = "Prints the page of a rule: what it finds, why, and what to write instead."
        parser.add_argument("rules", nargs="+", metavar="CODE|NAME", help="such as GRD205, GRD2 or module-list")
    return parser


def parsed(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Options and paths in any order."""
    return parser.parse_intermixed_args(list(arguments))
