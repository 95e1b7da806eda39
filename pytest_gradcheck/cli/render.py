"""`render report.json`: the HTML of a report that was written as JSON, now or on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pytest_gradcheck.cli.parser import command
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.render import document


def add(commands: Any) -> None:
    """Registers the command."""
    own = command(commands, "render", "make the HTML page of a JSON report")
    own.add_argument("report", type=Path, metavar="REPORT.json")
    own.add_argument("-o", "--output", type=Path, metavar="FILE.html", help="default: beside the JSON")
    own.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> bool:
    """Writes the page.

    Raises:
        UsageProblem: The JSON cannot be read, the extra is not installed, or the page cannot be written.
    """
    path = document.check_path(chosen.output or chosen.report.with_suffix(".html"), "--output")
    if path.suffix.lower() != ".html":
        raise UsageProblem(f"--output {path}: the page is a file that ends in .html")
    session = document.read(chosen.report)
    lacking = document.missing()
    if lacking:
        raise UsageProblem(f"an HTML report needs {lacking}, which is not installed: {document.INSTALL}")
    try:
        document.write(path, session)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"wrote {path}")  # noqa: T201  a command line prints
    return True
