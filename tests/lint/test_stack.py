"""Work on a large stack: in one thread that is kept, without leaving it for what it holds already."""

from __future__ import annotations

import threading

import pytest
from gradlint.stack import USUAL, end_thread, on_stack


def here() -> threading.Thread:
    return threading.current_thread()


def test_one_thread_does_all_that_its_stack_is_enough_for() -> None:
    first = on_stack(1, here)
    assert first is not here()
    assert on_stack(USUAL, here) is first
    assert on_stack(USUAL, lambda: on_stack(USUAL, here)) is first
    assert on_stack(2 * USUAL, here) is not first
    assert on_stack(2 * USUAL, lambda: on_stack(USUAL + 1, here)) not in (first, here())
    end_thread()
    assert not first.is_alive()


def test_what_the_work_raises_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        on_stack(1, lambda: 1 // 0)
    assert on_stack(1, lambda: 1) == 1
