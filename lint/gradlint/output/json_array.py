"""One JSON array; each element is `Violation.to_dict`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.output.page import Page


def render(page: Page) -> str:
    """Indented, in ASCII; `[]` when there is nothing."""
    return json.dumps([violation.to_dict() for violation in page.violations], indent=2)
