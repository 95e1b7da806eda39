"""Runs work that recurses on the C stack where the stack is large enough for it: in a thread."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# Enough for nearly all files. The memory is only reserved, not used.
USUAL: Final = 64 * 1024 * 1024
_usual: Final[dict[int, ThreadPoolExecutor]] = {}  # by process: a forked one has none of its parent's threads


class _Current(threading.local):
    """What is known of the stack of each thread: nothing, or how large `_thread` has made it."""

    size = 0


_current: Final = _Current()


def on_stack(size: int, work: Callable[[], T]) -> T:
    """Run work on a stack of at least this size: here, else in a thread. Raises what the work raises, and RuntimeError.

    One thread does all that needs no more than is usual: the stack of a new one costs the system thousands of pages.
    Whatever belongs together should be run by it as a whole: parsing what another thread then read was measured to take
    a tenth longer.
    """
    if size <= _current.size:
        return work()
    if size > USUAL:
        with _thread(size) as thread:
            return thread.submit(work).result()
    return _kept().submit(work).result()


def on_usual_stack(work: Callable[[], T]) -> T:
    """Run work on a stack of the usual size; here, on whatever there is, where no thread can be started."""
    if _current.size >= USUAL:
        return work()
    try:
        thread = _kept()
    except RuntimeError:
        return work()
    return thread.submit(work).result()


def end_thread() -> None:
    """End the thread that is kept: a process with one thread can be forked safely."""
    if (thread := _usual.pop(os.getpid(), None)) is not None:
        thread.shutdown()


def _kept() -> ThreadPoolExecutor:
    process = os.getpid()
    if process not in _usual:
        _usual[process] = _thread(USUAL)
    return _usual[process]


def _thread(size: int) -> ThreadPoolExecutor:
    executor = ThreadPoolExecutor(1, initializer=_begin, initargs=(size,))
    before = threading.stack_size(size)
    try:
        executor.submit(int).result()  # starts it while the size holds
    finally:
        threading.stack_size(before)
    return executor


def _begin(size: int) -> None:
    _current.size = size
