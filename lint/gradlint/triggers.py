"""What must be in the bytes of a file for a rule to fire there, looked for without reading them as Python.

All rules ask about one file before it is parsed: each asks the file's words, of which there are a hundredth as many
bytes as in the file, and only a text that is no part of a word is looked for in all of it.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_WORDS: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
# Blanks for all that is in no word. Signs beyond ASCII separate words, too: that finds too many, never too few.
_APART: Final = bytes(sign if sign in _IN_WORDS else 32 for sign in range(256))


def has_text(data: bytes, texts: Iterable[str]) -> bool:
    """Whether at least one of the texts is in the bytes, in comments and strings, too."""
    words = _words(data)
    return any(text in (words if within_word else data) for text, within_word in map(_text, texts))


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
