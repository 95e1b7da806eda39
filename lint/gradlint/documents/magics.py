"""What notebooks may hold beside Python: `%` and `!` lines, `%%` cells and `?` questions, hidden from the parser.

What is hidden keeps its lines: a statement becomes `pass`, an assigned value becomes the shell's own
`get_ipython()`, whose results nobody knows, and the cell of another language becomes blank.
"""

from __future__ import annotations

import re
from typing import Final

from gradlint.documents.blocks import blank

# Cell magics below which there is Python, in the namespace of the notebook.
_PYTHON_CELLS: Final = frozenset(("capture", "debug", "prun", "tab", "time", "timeit"))
_CELL: Final = re.compile(r"\s*%%(?P<name>[\w.]+)(?P<rest>[^\r\n]*)")
_TABS: Final = frozenset(("all", "pytorch"))

_LINE_BODY: Final = r"(?:\\(?:\r\n?|\n)|[^\r\n])*"
_STATEMENT: Final = re.compile(rf"(?P<indent>[ \t]*)(?:%{{1,2}}\w|!)(?P<body>{_LINE_BODY})")
_ASSIGNED: Final = re.compile(rf"(?P<target>[ \t]*[\w.,\[\]'\" \t*]+=)[ \t]*(?:%\w|!)(?P<body>{_LINE_BODY})")
_QUESTION: Final = re.compile(
    r"(?P<indent>[ \t]*)(?:\?{1,2}[ \t]*[%\w.*]+|%{0,2}[\w.*]+(?:\[[^\]\r\n]*\])*\?{1,2})(?P<body>[ \t]*)(?=[\r\n]|\Z)"
)
# All that can hide or continue a line.
_PART: Final = re.compile(
    r"""(?P<comment>\#[^\r\n]*)
    | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z) | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
    | "(?:\\.|[^"\\\r\n])*"? | '(?:\\.|[^'\\\r\n])*'?
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | \\(?:\r\n?|\n)? | (?P<end>\r\n?|\n) | [^\#"'()\[\]{}\\\r\n]+""",
    re.DOTALL | re.VERBOSE,
)


def without_magics(text: str) -> str:
    """The Python of a cell; blank where the whole cell is in another language or for another framework."""
    head = _CELL.match(text)
    if head is None:
        return _without_lines(text)
    if head["name"] not in _PYTHON_CELLS or (head["name"] == "tab" and not is_torch_tab(head["rest"])):
        return blank(text)
    return blank(head.group()) + without_magics(text[head.end() :])


def is_torch_tab(names: str) -> bool:
    """Whether one of a course's tabs, such as `mxnet, pytorch`, is for torch."""
    return not _TABS.isdisjoint(re.split(r"[\s,]+", names.strip()))


def _without_lines(text: str) -> str:
    parts: list[str] = []
    at = depth = 0
    is_start = True
    while at < len(text):
        found = _hidden(text, at) if is_start else None
        if found is not None:
            hidden, at = found
            parts.append(hidden)
            continue
        match = _PART.match(text, at)
        assert match is not None, "every character is part of something"
        depth = max(0, depth + bool(match["open"]) - bool(match["close"]))
        is_start = bool(match["end"]) and not depth
        parts.append(match.group())
        at = match.end()
    return "".join(parts)


def _hidden(text: str, at: int) -> tuple[str, int] | None:
    """What stands for a line of the shell that begins here, and where it ends."""
    if match := _STATEMENT.match(text, at) or _QUESTION.match(text, at):
        return f"{match['indent']}pass{blank(match['body'])}", match.end()
    if match := _ASSIGNED.match(text, at):
        return f"{match['target']} get_ipython(){blank(match['body'])}", match.end()
    return None
