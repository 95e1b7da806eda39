"""How often each rule was violated, most often first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.output.page import Page


def render(page: Page) -> str:
    """A line a rule: count, code, star where some can be fixed, name."""
    counts = Counter((violation.code, violation.name) for violation in page.violations)
    fixable = {violation.code for violation in page.violations if page.fixable(violation)}
    digits = len(str(max(counts.values(), default=0)))
    return "\n".join(
        f"{count:>{digits}}  {code} {'[*]' if code in fixable else '[ ]'} {name}"
        for (code, name), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
