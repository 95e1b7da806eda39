"""Results in the documentation: written by the command that measures them, with the date."""

from __future__ import annotations

import datetime
from pathlib import Path

import torch

PAGES = Path(__file__).parents[2] / "docs" / "checks"
START, END = "<!-- measured -->\n", "<!-- /measured -->"


def put(page: Path, text: str) -> None:
    """Writes a result between the marks of a page, below the date and what it was measured with."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    today = datetime.datetime.now(tz=datetime.timezone.utc).date()
    version = torch.__version__.partition("+")[0]
    said = f"Measured on {today}, torch {version}, CPU.\n\n{text.strip()}\n"
    page.write_text(f"{before}{START}{said}{END}{after}", encoding="utf-8")


def found(page: Path) -> str:
    """What stands between the marks of a page."""
    return page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
