"""The cells of a notebook where they stand in its JSON, so that a changed cell leaves every other byte as it was."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from gradlint.errors import UnreadableFile
from gradlint.model import Position

if TYPE_CHECKING:
    from collections.abc import Iterator

Span = tuple[int, int]

_FIRST_FORMAT: Final = 4
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among all cells from 1, its text, and where text and parts of it stand in the file."""

    number: int
    text: str
    span: Span
    parts: tuple[tuple[Span, str], ...]
    is_list: bool


def cells(raw: str) -> list[Cell]:
    """The cells of Python code; none in a notebook of another language. Raises UnreadableFile."""
    content = _content(raw)
    if not _is_python(content.get("metadata")):
        return []
    found = dict(_members(raw, _skip(raw, 0)))
    spans = _elements(raw, found["cells"][0])
    return [
        _cell(raw, number, span)
        for number, (cell, span) in enumerate(zip(content["cells"], spans, strict=True), 1)
        if _is_code(cell)
    ]


def _content(raw: str) -> dict[str, Any]:
    if not raw.strip():
        raise UnreadableFile("is empty, not a notebook")
    try:
        content: Any = json.loads(raw)
    except json.JSONDecodeError as problem:
        place = Position(problem.lineno, problem.colno)
        raise UnreadableFile(f"is not a notebook: {problem.msg}", place) from None
    except (ValueError, RecursionError) as problem:
        raise UnreadableFile(f"is not a notebook: {type(problem).__name__}: {problem}") from None
    kind = content.get("nbformat", _FIRST_FORMAT) if isinstance(content, dict) else None
    if isinstance(kind, int) and kind < _FIRST_FORMAT:
        advice = "`jupyter nbconvert --to notebook --inplace FILE` brings it up to date"
        raise UnreadableFile(f"is a notebook of format {kind}, and only {_FIRST_FORMAT} is read: {advice}")
    if kind is None or not isinstance(content.get("cells"), list):
        raise UnreadableFile("is not a notebook: it has no list of cells")
    for number, cell in enumerate(content["cells"], 1):
        if not isinstance(cell, dict) or (_is_code(cell) and not _is_text(cell.get("source"))):
            raise UnreadableFile(f"is not a notebook: cell {number} has no source")
    return dict(content)


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _get(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _is_python(metadata: object) -> bool:
    """Whether the kernel runs Python, which holds where nothing is said."""
    said = _get(metadata, "language_info", "name") or _get(metadata, "kernelspec", "language")
    return not isinstance(said, str) or re.fullmatch(r"i?python\d*", said.lower()) is not None


def _is_code(cell: dict[str, Any]) -> bool:
    language = _get(cell, "metadata", "vscode", "languageId")
    return cell.get("cell_type") == "code" and language in (None, "python")


def _skip(raw: str, at: int) -> int:
    match = _SPACE.match(raw, at)
    return match.end() if match else at


def _members(raw: str, at: int) -> Iterator[tuple[str, Span]]:
    """The keys of the object that begins here, each with where its value stands; the last of equal keys counts."""
    at = _skip(raw, at + 1)
    while raw[at] == '"':
        key, at = _DECODER.raw_decode(raw, at)
        start = _skip(raw, _skip(raw, at) + 1)
        _, end = _DECODER.raw_decode(raw, start)
        yield key, (start, end)
        at = _skip(raw, end)
        at = _skip(raw, at + 1) if raw[at] == "," else at


def _elements(raw: str, at: int) -> list[Span]:
    """Where the elements of the array that begins here stand."""
    spans: list[Span] = []
    at = _skip(raw, at + 1)
    while raw[at] != "]":
        _, end = _DECODER.raw_decode(raw, at)
        spans.append((at, end))
        at = _skip(raw, end)
        at = _skip(raw, at + 1) if raw[at] == "," else at
    return spans


def _cell(raw: str, number: int, span: Span) -> Cell:
    start, end = dict(_members(raw, span[0]))["source"]
    is_list = raw[start] == "["
    spans = _elements(raw, start) if is_list else [(start, end)]
    parts = tuple((each, str(json.loads(raw[slice(*each)]))) for each in spans)
    return Cell(number, "".join(text for _, text in parts), (start, end), parts, is_list)


def line_starts(raw: str) -> list[int]:
    """Where the lines of the file begin."""
    return [0, *(found.end() for found in re.finditer("\n", raw))]


def file_lines(cell: Cell, begins: list[int]) -> list[int]:
    """For each line of a cell the line of the file, whose lines begin at these places, on which it begins."""
    offsets: list[int] = []
    numbers: list[int] = []
    length = 0
    for (start, _), text in cell.parts:
        offsets.append(length)
        numbers.append(bisect_right(begins, start))
        length += len(text)
    starts = (found.start() for found in re.finditer(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+", cell.text))
    return [numbers[bisect_right(offsets, start) - 1] for start in starts]


def replaced(raw: str, changes: list[tuple[Cell, str]]) -> str:
    """The notebook with new texts of cells; lines that did not change are not written anew."""
    for cell, text in sorted(changes, key=lambda change: change[0].span, reverse=True):
        start, end = cell.span
        value = _list(raw, cell, text) if cell.is_list else _dumped(text, raw)
        raw = raw[:start] + value + raw[end:]
    return raw


def _dumped(text: str, raw: str) -> str:
    return json.dumps(text, ensure_ascii=raw.isascii())


def _list(raw: str, cell: Cell, text: str) -> str:
    """The list of a cell's lines, spaced as it was."""
    if not cell.parts:
        return json.dumps(_LINES.findall(text), ensure_ascii=raw.isascii())
    spans = [span for span, _ in cell.parts]
    (start, _), (_, last) = spans[0], spans[-1]
    head, tail = raw[cell.span[0] : start], raw[last : cell.span[1]]
    usual = raw[spans[0][1] : spans[1][0]] if len(spans) > 1 else f",{head[1:]}"
    between = [usual, *(raw[one[1] : other[0]] for one, other in pairwise(spans))]
    old = [line for _, line in cell.parts]
    # Jupyter takes more signs for ends of lines than others do.
    new = text.splitlines(keepends=True) if old == cell.text.splitlines(keepends=True) else _LINES.findall(text)
    written: list[str] = []
    for kind, from_, to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for index, line in enumerate(new[new_from:new_to], from_):
            value = raw[slice(*spans[index])] if kind == "equal" else _dumped(line, raw)
            written += [between[index] if index < to else usual, value]
    return head + "".join(written[1:]) + tail if written else "[]"
