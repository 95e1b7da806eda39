"""Where a benchmark's numbers stand: between marks of a page, with date and machine, put there by the benchmark."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of Markdown."""
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)]


def machine(*more: str) -> str:
    """When and on what it was measured; `more` is what else decides the numbers."""
    today = datetime.now(tz=timezone.utc).date().isoformat()
    said = (platform.machine(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *more)
    return f"Measured {today}: {', '.join(said)}."


def put(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replaces what stands between the marks of a name, or adds it at the page's end."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    new = "\n".join([start, *lines, end])
    old = page.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(start)}.*{re.escape(end)}", re.DOTALL)
    whole = marked.sub(lambda _: new, old) if marked.search(old) else f"{old.rstrip()}\n\n{new}\n"
    page.write_text(whole, encoding="utf-8")
