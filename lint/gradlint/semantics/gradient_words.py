"""The words by which a function's text shows that it may touch gradients: what it calls, and `.grad` itself.

A file's helpers are written in their place by `training_events`; of the functions of other files only these words are
known. A function without any of them leaves gradients alone, one that only zeroes is as good as `zero_grad()`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TOUCHING: Final = re.compile(r"zero|grad|optim|(?:^|_)step|train|update|backward|closure|learn|(?:^|_)fit|clear|reset")
_CALLED: Final = re.compile(r"\b(\w+)[ \t]*\(|\.(grad)\b")
_DEFINED: Final = re.compile(r"\b(?:async[ \t]+)?def[ \t]+\w+")
_COMMENT: Final = re.compile(r"#[^\n]*")
_MAYBE: Final = re.compile(r"zero|grad|step|backward|optim|train|update|closure|learn|fit|clear|reset")


def lines_of(text: str) -> list[str]:
    """The lines of a text, whichever way each of them ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def gradient_words(text: str, functions: Iterable[tuple[str, int, int]]) -> dict[str, tuple[str, ...]]:
    """The words of each function (name, first and last line) that has any, in alphabetical order."""
    if _MAYBE.search(text) is None:
        return {}
    lines = lines_of(text)
    found: dict[str, tuple[str, ...]] = {}
    for name, first, last in functions:
        written = "\n".join(lines[first - 1 : last])
        if _MAYBE.search(written) is None:
            continue
        body = _DEFINED.sub("", _COMMENT.sub("", written))
        called = {match[1] or match[2] for match in _CALLED.finditer(body)}
        said = tuple(sorted(word for word in called if TOUCHING.search(word)))
        if said:
            found[name] = said
    return found
