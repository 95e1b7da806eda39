"""Workflow commands, which GitHub shows beside the changed lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradlint.model import Level
from gradlint.output.terminal import plain

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.output.page import Page

_COMMANDS: Final = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "notice", Level.PEDANTIC: "notice"}


def render(page: Page) -> str:
    """`::error file=...,line=...::message`, one line a violation."""
    return "\n".join(_command(violation, page) for violation in page.violations)


def _command(violation: Violation, page: Page) -> str:
    start, end = page.in_file(violation.path, violation.range)
    fields = {
        "title": f"{violation.code} {violation.name}",
        "file": page.in_repository(violation.path),
        "line": start.line,
        "col": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    }
    said = ",".join(f"{key}={_property(str(value))}" for key, value in fields.items())
    return f"::{_COMMANDS[violation.level]} {said}::{_data(violation.message)}"


def _data(text: str) -> str:
    return plain(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
