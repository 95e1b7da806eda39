"""What must be in the bytes of a file for a rule to fire there, looked for without reading them as Python.

All rules ask about one file before it is parsed: each asks the file's words, of which there are a hundredth as many
bytes as in the file, and only a text that is no part of a word is looked for in all of it. What documentation and
comments say is left out before.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TORCH: Final = b"torch"  # without it, a file is no business of any rule
_IN_WORDS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
# Blanks for all that is in no word. Signs beyond ASCII separate words, too: that finds too many, never too few.
_APART: Final = bytes(sign if sign in _IN_WORDS else 32 for sign in range(256))
_FORMATTED: Final = (b"f", b"F", b"t", b"T")
# A comment or a string, found from left to right; the letters before a string are looked at when there is one.
_COMMENT_OR_STRING: Final = re.compile(
    rb"""\#[^\r\n]*
    | "(?:""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"{3} | [^"\\\r\n]*(?:\\(?:\r\n|.)[^"\\\r\n]*)*")
    | '(?:''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'{3} | [^'\\\r\n]*(?:\\(?:\r\n|.)[^'\\\r\n]*)*')""",
    re.DOTALL | re.VERBOSE,
)
_GOES_ON: Final = re.compile(rb"[\w#]")  # after a string: it may be one within an f-string
_DUNDER: Final = re.compile(rb"\b__\w+__\b")


def code_of(data: bytes) -> bytes:
    """The bytes of a file without comments and without strings in three quotes that are no f-strings.

    `torch` stays, wherever it was. All bytes come back where an f-string may hold quotes of its own kind: where
    it ends is then not known. In bytes that are no Python anything may be left out.
    """
    kept: list[bytes] = []
    last = 0
    for found in _COMMENT_OR_STRING.finditer(data):
        start, end = found.span()
        if data[start - 1 : start] in _FORMATTED or data[start - 2 : start - 1] in _FORMATTED:
            if data.count(b"{", start, end) != data.count(b"}", start, end) or _GOES_ON.match(data, end):
                return data
        elif data.startswith((b"#", b'"""', b"'''"), start):
            kept.append(data[last:start])
            last = end
    code = b" ".join((*kept, data[last:]))
    return code if TORCH in code or TORCH not in data else TORCH + b" " + code


@lru_cache(maxsize=1)  # all rules ask about one file
def without_dunders(data: bytes) -> bytes:
    """The bytes without names such as `__init__`, which are in every class."""
    return _DUNDER.sub(b"", data)


def has_text(data: bytes, texts: Iterable[str]) -> bool:
    """Whether at least one of the texts is in the bytes, in comments and strings, too."""
    words = _words(data)
    for text in texts:
        sought, within_word = _text(text)
        if sought in (words if within_word else data):
            return True
    return False


def has_word(data: bytes, words: Iterable[str]) -> bool:
    """Whether at least one of the words is in the bytes as a whole; one with a dot before it only as an attribute."""
    found = _words(data)
    return any(text in found for word in words for text in _whole(word))


@lru_cache(maxsize=1)  # all rules ask about one file, then all about the next
def _words(data: bytes) -> bytes:
    """Each word of the bytes once, a line each; attributes have their dot."""
    return b"\n%b\n" % b"\n".join(set(data.replace(b".", b" .").translate(_APART).split()))


@cache
def _text(text: str) -> tuple[bytes, bool]:
    """The bytes of a text, and whether it can only be a part of one word."""
    return text.encode(), re.fullmatch(r"\.?\w+", text, re.ASCII) is not None


@cache
def _whole(word: str) -> tuple[bytes, ...]:
    return (f"\n{word}\n".encode(),) if word.startswith(".") else (f"\n{word}\n".encode(), f"\n.{word}\n".encode())
