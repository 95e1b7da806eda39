"""What the text of a file shows of its definitions before anything parses it: most questions need no more."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gradlint.triggers import code_of

# A definition that begins a line stands in no block and, since its first word is a keyword, in no expression. A line
# that is continued may be within a string; a name that goes on beyond ASCII is left to the parser.
_TOP: Final = re.compile(rb"(?<!\\)(?<!\\\r)\n(?:async[ \t]+)?(def|class)[ \t]+([A-Za-z_]\w*)(?=[ \t]*[(:\[])")
_CLASS: Final = re.compile(rb"\bclass[\s\\]+(\w+)")
_QUOTES: Final = (b'"""', b"'''")


# A call that fills a tensor in place.
FILLING: Final = re.compile(r"(?:uniform|normal|orthogonal|constant|ones|zeros|eye|dirac|sparse|fill|zero)_\(")


class Outline(NamedTuple):
    """Names that a file surely defines by a class or function of its own, and those that are surely no class.

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
    top = [(kind, name.decode()) for kind, name in _TOP.findall(b"\n" + code)]
    classes = {name.decode() for name in _CLASS.findall(code)}
    functions = frozenset(name for kind, name in top if kind == b"def") - classes
    return Outline(frozenset(name for _, name in top), functions, may_fill(text))


def may_fill(text: str) -> bool:
    """Whether a text can hold calls of `torch.nn.init` or the like."""
    return "torch" in text and "_(" in text and FILLING.search(text) is not None
