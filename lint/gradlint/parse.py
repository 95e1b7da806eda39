"""From text to a libcst module, safely: whatever cannot be parsed is an UnreadableFile, nothing brings the run down."""

from __future__ import annotations

import ast
import gc
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import libcst as cst

from gradlint.bounds import check_length, is_too_long
from gradlint.errors import UnreadableFile
from gradlint.model import Position
from gradlint.stack import on_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradlint.source import Source

# libcst's native parser recurses on the C stack and, when that ends, kills the process: it runs on a stack that holds
# the deepest nesting the text can have. A level was measured at under 4 KiB; the stack is only reserved, not used.
_BYTES_A_LEVEL = 8 * 1024
_SMALLEST_STACK = 4 * 1024 * 1024
_LARGEST_STACK = 8 * 1024 * 1024 * 1024
_MOST_BRACKETS = 200  # as in CPython; libcst's time grows with the square of the depth
_BRACKET = re.compile(r"[()\[\]{}]")
_ROUND = bytes.maketrans(b"[{]}", b"(())")
_NO_BRACKETS = bytes(set(range(256)) - set(b"()[]{}"))
_NEVER_NESTS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ \t\r\n,#"
_NESTING_WORDS = ("and", "await", "if", "in", "is", "not", "or", "yield")


def parse(source: Source) -> cst.Module:
    """Parse with the garbage collector paused (a fifth faster). Raises UnreadableFile."""
    if _nests_too_deeply(source.text):
        raise UnreadableFile(f"cannot be parsed: more than {_MOST_BRACKETS} nested brackets")
    check_length(source.text)
    stack = max(_deepest(source.text) * _BYTES_A_LEVEL, _SMALLEST_STACK)
    if stack > _LARGEST_STACK:
        raise UnreadableFile("too large to be parsed safely")
    with collector_paused():
        if stack == _SMALLEST_STACK:
            return _parse(source)
        try:
            return on_stack(stack, lambda: _parse(source))
        except RuntimeError as error:
            if isinstance(error, RecursionError):
                raise
            raise UnreadableFile("nested too deeply for the memory that may be reserved") from None


def check_syntax(source: Source) -> None:
    """Raise UnreadableFile if a file that no rule looks at cannot be parsed; libcst has the last word, `ast` the first.

    `ast` is eight times as fast, and what it accepts libcst accepts; what it rejects may be newer syntax.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source.text)
    except (SyntaxError, ValueError):
        parse(source)
    except (RecursionError, MemoryError):
        if not is_too_long(source.text):  # other Pythons read it, and no rule wants to
            parse(source)


def _parse(source: Source) -> cst.Module:
    try:
        return cst.parse_module(source.text)
    except cst.ParserSyntaxError as error:
        raise _unreadable(error, source) from None
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of the native parser is no Exception
        raise UnreadableFile(f"cannot be parsed: libcst {_version()} stops with {_words(error)}") from None


def _version() -> str:
    from importlib.metadata import version  # slow to import, and seldom wanted

    return version("libcst")


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _unreadable(error: cst.ParserSyntaxError, source: Source) -> UnreadableFile:
    """The native parser names the place in its text (column from 0) and leaves the attributes at 1:1.

    It names the token after the one it stumbled on: at the end of the file that is moved back to the last line.
    """
    reason = error.message.splitlines()[0]
    found = re.search(r"error at (\d+):(\d+): (.+)", reason)
    if found is None:
        return UnreadableFile(f"cannot be parsed: {reason}", Position(error.editor_line, error.editor_column))
    last = source.position(max(len(source.text.rstrip()) - 1, 0))
    place = min(Position(int(found[1]), int(found[2]) + 1), last)
    return UnreadableFile(f"cannot be parsed: {found[3]}", place)


def _nests_too_deeply(text: str) -> bool:
    """Whether brackets nest deeper than they may.

    Pairs with nothing between them are taken out until none is left: the rounds, and what opens without an end, are at
    least the depth. Only where that is too deep are the brackets counted.
    """
    left = text.encode(errors="replace").translate(_ROUND, _NO_BRACKETS)
    rounds = 0
    while b"()" in left and rounds <= _MOST_BRACKETS:
        left = left.replace(b"()", b"")
        rounds += 1
    return rounds + left.count(b"(") > _MOST_BRACKETS and _bracket_depth(text) > _MOST_BRACKETS


def _bracket_depth(text: str) -> int:
    """How deep brackets nest; those in strings and comments count, too, which is right within a few."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _deepest(text: str) -> int:
    """More levels than the text can have: one for every sign or word that opens one, strings and comments included."""
    signs = len(text.encode(errors="replace").translate(None, _NEVER_NESTS))
    return signs + sum(map(text.count, _NESTING_WORDS))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from looking at a tree again and again while it grows and is asked.

    Afterwards everything made meanwhile is young: the next small collection frees it, without a look at what is old.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
