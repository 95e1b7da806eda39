"""One JSON array; each element is `Violation.to_dict`, with a `cell` in notebooks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.output.page import Page


def render(page: Page) -> str:
    """Indented, in ASCII; `[]` when there is nothing."""
    return json.dumps([element(violation, page) for violation in page.violations], indent=2)


def element(violation: Violation, page: Page) -> dict[str, Any]:
    """`Violation.to_dict`; in a notebook lines count from the top of a cell, and each place says which `cell`."""
    said = violation.to_dict()
    if page.cell_line(violation.path, violation.range.start.line) is None:
        return said
    fix = said["fix"]
    if fix is not None:
        fix = {**fix, "edits": [_in_cell(edit, violation.path, page) for edit in fix["edits"]]}
    related = [_in_cell(place, place["path"], page) for place in said["related"]]
    return _in_cell({**said, "fix": fix, "related": related}, violation.path, page)


def _in_cell(place: dict[str, Any], path: str, page: Page) -> dict[str, Any]:
    first, last = page.cell_line(path, place["line"]), page.cell_line(path, place["end_line"])
    if first is None or last is None:
        return place
    # The end of a cell's last line is the beginning of the line below it, which is the next cell's first.
    end = last.line if last.cell == first.cell else first.line + place["end_line"] - place["line"]
    return {**place, "cell": first.cell, "line": first.line, "end_line": end}
