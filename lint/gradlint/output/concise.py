"""One line a violation, then the totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.output.terminal import plain

if TYPE_CHECKING:
    from gradlint.model import Violation
    from gradlint.output.page import Page


def render(page: Page) -> str:
    """`path:line:col: GRD701 [*] message`; the star says that it can be fixed."""
    return "\n".join([*(_line(violation, page) for violation in page.violations), page.totals])


def _line(violation: Violation, page: Page) -> str:
    style = page.style
    place = style.bold(f"{page.place(violation.path, violation.range.start)}:")
    star = f"{style.cyan('[*]')} " if page.fixable(violation) else ""
    return f"{place} {style.red(violation.code)} {star}{plain(violation.message)}"
