"""What the text of a file shows of its definitions before anything parses it: most questions need no more."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gradlint.triggers import code_of
from gradlint.words import words

# A definition that begins a line stands in no block and, since its first word is a keyword, in no expression. A line
# that is continued may be within a string; a name that goes on beyond ASCII is left to the parser.
_TOP: Final = re.compile(rb"\n(?<!\\\n)(?<!\\\r\n)(?:async[ \t]+)?(def|class)[ \t]+([A-Za-z_]\w*)(?=[ \t]*[(:\[])")
_CLASS: Final = re.compile(rb"class[\s\\]+([^\s\\(:\[]+)")
_QUOTES: Final = (b'"""', b"'''")
# What the calls that fill a tensor in place end with before `_(`.
_FILLING: Final = tuple(words("uniform normal orthogonal constant ones zeros eye dirac sparse fill zero"))
_CALL: Final = "_("


class Outline(NamedTuple):
    """Names that a file, if it is Python, surely defines by a class or function, and those that are surely no class.

    `fills`: it may hold a function that fills tensors in place.
    """

    defined: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    fills: bool = True


NOTHING: Final = Outline()


def outline(text: str) -> Outline:
    """The outline of a file that is Python; nothing where it cannot be told from the text."""
    code = code_of(text.encode(errors="replace"))
    if any(quotes in code for quotes in _QUOTES):
        return Outline(fills=may_fill(text))  # of a string that was left in, lines are no code
    top = _TOP.findall(b"\n" + code)
    classes = frozenset(_CLASS.findall(code))
    functions = frozenset(name.decode() for kind, name in top if kind == b"def" and name not in classes)
    if not all(map(bytes.isascii, classes)):
        functions = frozenset()  # such a name may be spelt in several ways
    return Outline(frozenset(name.decode() for _, name in top), functions, may_fill(text))


def may_fill(text: str) -> bool:
    """Whether a text can hold calls of `torch.nn.init` or the like."""
    return "torch" in text and fills(text)


def fills(text: str) -> bool:
    """Whether a text holds a call that fills a tensor in place, such as `xavier_uniform_(weight)`."""
    at = text.find(_CALL)
    while at >= 0 and not text.endswith(_FILLING, 0, at):
        at = text.find(_CALL, at + 1)
    return at >= 0
