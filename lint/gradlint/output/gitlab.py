"""GitLab's code quality report, which its merge requests show."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from gradlint.model import Level

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.output.page import Page

_SEVERITIES: Final = {Level.ERROR: "major", Level.WARNING: "minor", Level.INFO: "info", Level.PEDANTIC: "info"}


def render(page: Page) -> str:
    """One array; `[]` when there is nothing."""
    return json.dumps([_issue(violation, page) for violation in page.violations], indent=2)


def _issue(violation: Violation, page: Page) -> dict[str, Any]:
    path = page.in_repository(violation.path)
    start, end = page.in_file(violation.path, violation.range)
    return {
        "description": f"{violation.code} {violation.name}: {violation.message}",
        "check_name": violation.code,
        # A fingerprint is made of the path from the project, of which a repository may hold several.
        "fingerprint": hashlib.sha256(f"{path}\0{violation.fingerprint}".encode(errors="replace")).hexdigest(),
        "severity": _SEVERITIES[violation.level],
        "location": {
            "path": path,
            "positions": {
                "begin": {"line": start.line, "column": start.column},
                "end": {"line": end.line, "column": end.column},
            },
        },
    }
