"""Refuses what libcst would take minutes over: its time grows with the square of the length of a chain.

A chain is what one expression strings together: `a + b + c`, `x.f().g()`, `x[0][1]`, `a if b else c`. At the
limit one takes about a second; people write a few dozen links, only generated code comes near.
"""

from __future__ import annotations

import re
from typing import Final

from gradlint.errors import UnreadableFile

MOST_LINKS: Final = 1000

# All that neither links nor ends an expression is left out of the first, rough look; a line's end may be within one.
_KEPT: Final = b"+-*/%@&|^~.([)]<>=,:;\n"
_LEFT_OUT: Final = bytes(set(range(256)) - set(_KEPT))
_ENDING: Final = bytes.maketrans(b"=,:;", b";;;;")
_WORDS: Final = ("not ", "lambda", "else ", "await ")

_TOKEN: Final = re.compile(
    r"""\#[^\r\n]*
    | \"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z) | '{3}(?:\\.|[^\\])*?(?:'{3}|\Z)
    | "(?:\\.|[^"\\\r\n])*"? | '(?:\\.|[^'\\\r\n])*'?
    | \d[\w.]* | (?P<link>\*\*|//|<<|>>|[-+*/%@&|^~.]|\b(?:not|else|await)\b|\blambda\b[^:\n]*:)
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<end>[,:;=\n]) | \w+""",
    re.DOTALL | re.VERBOSE,
)


def check_length(text: str) -> None:
    """Raise UnreadableFile for a chain that is too long."""
    if is_too_long(text):
        said = f"an expression of more than {MOST_LINKS} operators, calls and attributes"
        raise UnreadableFile(f"cannot be analysed: {said}")


def is_too_long(text: str) -> bool:
    """Whether a text holds such a chain."""
    stretches = text.encode(errors="replace").translate(_ENDING, _LEFT_OUT).split(b";")
    is_maybe = max(map(len, stretches)) >= MOST_LINKS or sum(map(text.count, _WORDS)) > MOST_LINKS
    return is_maybe and _longest(text) > MOST_LINKS


def _longest(text: str) -> int:
    """The links of the longest chain; what stands in brackets is a chain of its own, and the bracket one more link."""
    longest = 0
    counts = [0]
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "link":
            counts[-1] += 1
        elif kind == "open":
            counts[-1] += 1
            counts.append(0)
        elif kind == "close" and len(counts) > 1:
            counts.pop()
        elif kind == "end" and (token.group() != "\n" or len(counts) == 1):
            counts[-1] = 0
        longest = max(longest, counts[-1])
    return longest
