"""From a report to text: one file a format, each a function `render(page) -> str`; only `cli` prints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradlint.output.page import Page

# Format name to module; the first is the default.
FORMATS: Final = {
    "full": "full",
    "concise": "concise",
    "json": "json_array",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
}
# Those that people read: totals and statistics stand below the violations.
FOR_READERS: Final = ("full", "concise")


def render(name: str, page: Page) -> str:
    """The text of a report in one format."""
    module = import_module(f"{__name__}.{FORMATS[name]}")
    return cast("Callable[[Page], str]", module.render)(page)
