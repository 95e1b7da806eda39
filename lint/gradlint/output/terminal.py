"""Text for terminals: colours where wanted, and nothing of a linted file that a terminal would obey."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TextIO

# Control characters, and those that change the direction of the text after them.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_TAB = "    "


@dataclass(frozen=True)
class Style:
    """Wraps text in colours, or leaves it as it is."""

    colour: bool = False

    def bold(self, text: str) -> str:
        """For places."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """For frames and hints."""
        return self._wrap("2", text)

    def red(self, text: str) -> str:
        """For errors and what is removed."""
        return self._wrap("31", text)

    def green(self, text: str) -> str:
        """For what is added."""
        return self._wrap("32", text)

    def yellow(self, text: str) -> str:
        """For warnings."""
        return self._wrap("33", text)

    def cyan(self, text: str) -> str:
        """For info."""
        return self._wrap("36", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text


def plain(text: str) -> str:
    """A text of the linted code as one harmless line: tabs as blanks, control characters as escapes."""
    return _OBEYED.sub(lambda found: ascii(found.group())[1:-1], text.replace("\t", _TAB))


def width(text: str) -> int:
    """How many columns a text takes on a terminal, as `plain` shows it."""
    shown = plain(text)
    if shown.isascii():
        return len(shown)
    return sum(0 if unicodedata.combining(sign) else _columns(sign) for sign in shown)


def _columns(sign: str) -> int:
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are wanted: not with NO_COLOR, always with FORCE_COLOR, else on a terminal that shows them."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return os.environ.get("TERM") != "dumb" and stream.isatty()
