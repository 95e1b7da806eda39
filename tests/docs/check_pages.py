"""The pages of the checks: each one's example runs, and prints what stands below it.

`python -m tests.docs.check_pages` writes the present output into the pages; look at the change.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs" / "checks"
EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```text\n(?P<printed>.*?)```", re.DOTALL)


def examples(page: Path) -> list[tuple[str, str]]:
    """Code and the output that stands below it."""
    return [(found["code"], found["printed"]) for found in EXAMPLE.finditer(page.read_text(encoding="utf-8"))]


def printed(code: str) -> str:
    """What an example prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "example", "exec"), {"__name__": "example"})
    return output.getvalue()


def rewrite(page: Path) -> None:
    """Puts the present output of each example below it."""

    def renewed(found: re.Match[str]) -> str:
        return f"```python\n{found['code']}```\n\n```text\n{printed(found['code'])}```"

    page.write_text(EXAMPLE.sub(renewed, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    for path in sorted(PAGES.glob("*.md")):
        rewrite(path)
