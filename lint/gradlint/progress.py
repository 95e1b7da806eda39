"""A line on the terminal while a long run goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE: Final = 1.0
_INTERVAL: Final = 0.1


class Progress:
    """Shows how many files are done, from one second on, and leaves nothing behind. Silent if not on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = time.monotonic() + _PATIENCE
        self._is_shown = False

    def __enter__(self) -> Progress:
        return self

    def show(self, done: int, of: int) -> None:
        """Called after each file."""
        now = time.monotonic()
        if now >= self._next and self._stream.isatty():
            self._next = now + _INTERVAL
            self._is_shown = True
            self._stream.write(f"\r\x1b[Kgradlint: {done} of {of} files")
            self._stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
