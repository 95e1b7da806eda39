"""Each violation with its source lines, the related places and what the fix would do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from gradlint.edits import applied
from gradlint.model import Level, Safety
from gradlint.output.terminal import plain, width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.model import Fix, Range, Violation
    from gradlint.output.page import Page
    from gradlint.output.terminal import Style
    from gradlint.source import Source

_MOST_LINES: Final = 3
_MOST_RELATED: Final = 3
_MOST_DIFF: Final = 10
_MOST_COLUMNS: Final = 160


def render(page: Page) -> str:
    """The violations, a blank line between them, then the totals."""
    blocks = ["\n".join(_block(violation, page)) for violation in page.violations]
    unsafe = sum(violation.fix is not None and not page.fixable(violation) for violation in page.violations)
    more = f"\n{unsafe} more can be fixed with --unsafe-fixes." if unsafe else ""
    return "\n\n".join([*blocks, page.totals + more])


def _block(violation: Violation, page: Page) -> Iterator[str]:
    style = page.style
    place = style.bold(f"{page.place(violation.path, violation.range.start)}:")
    star = f" {style.cyan('[*]')}" if page.fixable(violation) else ""
    code = _coloured(violation.level, f"{violation.code} {violation.name}", style)
    yield f"{place} {code}{star}: {plain(violation.message)}"
    source = page.source(violation.path)
    places = [(violation.path, violation.range.end.line), *((e.path, e.range.end.line) for e in violation.related)]
    digits = max(len(str(page.number(*place))) for place in places)
    if source is not None:
        yield from _excerpt(source, violation.range, digits, style)
    for each in violation.related[:_MOST_RELATED]:
        yield f"{' ' * digits} {style.dim('=')} {page.place(each.path, each.range.start)}: {plain(each.message)}"
        if (there := page.source(each.path)) is not None:
            yield from _excerpt(there, each.range, digits, style)
    if (hidden := len(violation.related) - _MOST_RELATED) > 0:
        yield f"{' ' * digits} {style.dim('=')} and {hidden} more"
    if violation.fix is not None and source is not None:
        yield from _change(violation.fix, source, digits, page)


def _coloured(level: Level, text: str, style: Style) -> str:
    if level is Level.ERROR:
        return style.red(text)
    return style.yellow(text) if level is Level.WARNING else style.cyan(text)


def _excerpt(source: Source, where: Range, digits: int, style: Style) -> Iterator[str]:
    """The lines of a range, its part of each marked below."""
    start, end = where
    last = end.line - 1 if end.column == 1 and end.line > start.line else end.line
    for number in range(start.line, min(last, start.line + _MOST_LINES - 1) + 1):
        line = source.line(number)
        from_ = start.column - 1 if number == start.line else len(line) - len(line.lstrip())
        to = end.column - 1 if number == end.line else len(line.rstrip())
        before, marked = width(line[:from_]), max(width(line[from_:to]), 1)
        text = plain(line)
        if len(text) > _MOST_COLUMNS:
            text, marked = f"{text[:_MOST_COLUMNS]} ...", max(min(marked, _MOST_COLUMNS - before), 0)
        found = source.cell_line(number)
        yield f"{style.dim(f'{found.line if found else number:>{digits}} |')} {text}".rstrip()
        if marked:
            yield f"{style.dim(' ' * digits + ' |')} {' ' * before}{style.red('^' * marked)}"
    if last >= start.line + _MOST_LINES:
        yield f"{style.dim(' ' * digits + ' |')} ... {last - start.line - _MOST_LINES + 1} more lines"


def _change(fix: Fix, source: Source, digits: int, page: Page) -> Iterator[str]:
    style = page.style
    option = "--fix" if fix.safety is Safety.SAFE else "--fix --unsafe-fixes"
    yield f"{' ' * digits} {style.dim('=')} {fix.safety.value} fix ({option}):"
    first = min(edit.range.start.line for edit in fix.edits)
    last = max(edit.range.end.line for edit in fix.edits)
    head, tail = source.line_starts[first - 1], source.line_starts[last] if last < len(source.line_starts) else None
    old = source.text[head:tail].splitlines()
    text = applied(source, fix.edits)
    new = text[head : None if tail is None else len(text) - (len(source.text) - tail)].splitlines()
    lines = [line for line in difflib.ndiff(old, new) if line[:1] in "+-"]
    for line in lines[:_MOST_DIFF]:
        shown = f"{line[0]} {plain(line[2:])}"[:_MOST_COLUMNS].rstrip()
        yield f"{style.dim(' ' * digits + ' |')} {style.red(shown) if line[0] == '-' else style.green(shown)}"
    if len(lines) > _MOST_DIFF:
        yield f"{style.dim(' ' * digits + ' |')} ... {len(lines) - _MOST_DIFF} more lines"
