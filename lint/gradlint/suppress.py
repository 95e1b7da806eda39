"""Suppression comments: `# gradlint: ignore[GRD101] reason`, `# gradlint: skip-file`, `# noqa: GRD101`.

A comment on the first or last line of a violation's statement counts, and so does one on the line that is reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradlint.model import Edit, Fix, Range, Safety, Violation
from gradlint.rules import UNDESELECTABLE, UNUSED
from gradlint.selection import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradlint.selection import Selection
    from gradlint.source import Source

_HINT = re.compile(r"#\s*(?:gradlint\s*:|noqa)", re.IGNORECASE)
# Comments, and the strings in which a `#` is no comment. A backslash hides a quote in raw strings, too.
_COMMENT_OR_STRING = re.compile(
    r"""\#(?P<comment>[^\r\n]*)
    | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z) | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
    | "(?:\\.|[^"\\\r\n])*"? | '(?:\\.|[^'\\\r\n])*'?""",
    re.DOTALL | re.VERBOSE,
)
_SKIP_FILE = re.compile(r"#\s*gradlint\s*:\s*skip-file\b")
_IGNORE = re.compile(r"#\s*gradlint\s*:\s*ignore(?:\[(?P<codes>[^\]]*)\]|(?![\w\[-]))")
_NOQA = re.compile(r"#\s*noqa(?:\s*:\s*(?P<codes>[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)|(?![\w:-]))", re.IGNORECASE)
_NEXT_PART = re.compile(r"\s#\s|$")


@dataclass
class Suppression:
    """One comment: where it stands, the codes it names (None: all) and those that suppressed something."""

    start: int
    end: int
    line: int
    codes: tuple[str, ...] | None
    codes_span: tuple[int, int] = (0, 0)
    is_noqa: bool = False
    used: set[str] = field(default_factory=set)
    is_used: bool = False

    def covers(self, violation: Violation) -> bool:
        """Whether the comment stands where it counts for a violation, and means its code."""
        lines = (*violation.statement, violation.range.start.line, violation.range.end.line)
        if self.line not in lines or violation.code in UNDESELECTABLE:
            return False
        if self.codes is None:
            self.is_used = True
            return True
        meant = [code for code in self.codes if _means(code, violation.code, violation.name)]
        self.used.update(meant)
        return bool(meant)


def _means(selector: str, code: str, name: str) -> bool:
    return selector == name or (selector.upper().startswith("GRD") and code.startswith(selector.upper()))


def skips_file(text: str) -> bool:
    """Whether a comment says that the file is not to be linted."""
    return "skip-file" in text and any(_SKIP_FILE.search(comment) for _, comment in comments(text))


def comments(text: str) -> Iterator[tuple[int, str]]:
    """The offset and text of each comment."""
    for found in _COMMENT_OR_STRING.finditer(text):
        if found["comment"] is not None:
            yield found.start(), found.group()


def suppressions(source: Source) -> list[Suppression]:
    """The suppression comments of a file, in text order."""
    if not _HINT.search(source.text):
        return []
    found: list[Suppression] = []
    for offset, comment in comments(source.text):
        for match in (*_IGNORE.finditer(comment), *_NOQA.finditer(comment)):
            is_noqa = match.re is _NOQA
            ending = _NEXT_PART.search(comment, match.end())
            end = match.end() if is_noqa or ending is None else ending.start()
            codes = None if match["codes"] is None else tuple(re.split(r"[,\s]+", match["codes"].strip(" ,")))
            span = (offset + match.start("codes"), offset + match.end("codes"))
            line = source.position(offset).line
            found.append(Suppression(offset + match.start(), offset + end, line, codes, span, is_noqa))
    return found


def apply(violations: Iterable[Violation], source: Source, selection: Selection) -> list[Violation]:
    """The violations that no comment suppresses, and a GRD003 for each comment that suppressed nothing."""
    written = suppressions(source)
    left: list[Violation] = []
    broken = False
    for violation in violations:
        broken = broken or violation.code in UNDESELECTABLE
        covering = [each.covers(violation) for each in written]
        if not any(covering):
            left.append(violation)
    if broken or UNUSED.code not in selection.active:
        return left
    excused = {each.line for each in written if each.codes and {UNUSED.code, UNUSED.name} & {*each.codes}}
    unused = (_unused(each, source, selection) for each in written if each.line not in excused)
    return left + [violation for violation in unused if violation is not None]


def _unused(one: Suppression, source: Source, selection: Selection) -> Violation | None:
    if one.codes is None:
        if one.is_used or one.is_noqa or not selection.has_default_set:
            return None
        return _report(one, source, "this comment suppresses nothing: remove it", _removal(one, source))
    idle = [code for code in one.codes if code not in one.used and _is_active(code, selection)]
    if not idle:
        return None
    kept = [code for code in one.codes if code not in idle]
    edit = Edit(_range(source, *one.codes_span), ", ".join(kept)) if kept else _removal(one, source)
    return _report(one, source, f"{', '.join(idle)} suppresses nothing here: remove it", edit)


def _is_active(selector: str, selection: Selection) -> bool:
    meant = {info.code for info in EVERY if _means(selector, info.code, info.name)}
    return bool(meant) and meant <= selection.active


def _report(one: Suppression, source: Source, message: str, edit: Edit) -> Violation:
    place = _range(source, one.start, one.end)
    fix = Fix(Safety.SAFE, (edit,))
    lines = (one.line, one.line)
    return Violation(UNUSED.code, UNUSED.name, UNUSED.level, message, source.path, place, fix, statement=lines)


def _removal(one: Suppression, source: Source) -> Edit:
    """Remove the comment with the blanks before it, and its line where nothing else stands on it."""
    text, line = source.text, source.line_starts[one.line - 1]
    start = line + len(text[line : one.start].rstrip(" \t"))
    rest = source.line(one.line)[one.end - line :]
    if rest.strip():  # another comment follows: keep the blanks before this one for it
        return Edit(_range(source, one.start, one.end + len(rest) - len(rest.lstrip())), "")
    end = one.end + len(rest)
    if start == line and one.line < len(source.line_starts):
        end = source.line_starts[one.line]
    return Edit(_range(source, start, end), "")


def _range(source: Source, start: int, end: int) -> Range:
    return Range(source.position(start), source.position(end))
