"""Work on a large stack: in one thread that is kept, without leaving it for what it holds already."""

from __future__ import annotations

import threading

import pytest
from gradlint.stack import USUAL, end_thread, on_stack, on_usual_stack


def here() -> threading.Thread:
    return threading.current_thread()


def test_one_thread_does_all_that_its_stack_is_enough_for() -> None:
    first = on_stack(1, here)
    assert first is not here()
    assert on_stack(USUAL, here) is first
    assert on_stack(USUAL, lambda: on_stack(USUAL, here)) is first
    assert on_usual_stack(lambda: on_usual_stack(here)) is first
    assert on_stack(2 * USUAL, here) is not first
    large, nested = on_stack(2 * USUAL, lambda: (here(), on_stack(USUAL + 1, here)))
    assert nested is large is not first
    end_thread()
    assert not first.is_alive()


def test_where_no_thread_can_be_started_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    end_thread()
    monkeypatch.setattr(threading.Thread, "start", no_room)
    assert on_usual_stack(here) is here()
    with pytest.raises(RuntimeError, match="can't start"):
        on_stack(1, here)


def test_what_the_work_raises_comes_back() -> None:
    with pytest.raises(ZeroDivisionError):
        on_stack(1, lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="its own"):
        on_usual_stack(lambda: _raise("its own"))
    assert on_stack(1, lambda: 1) == 1


def _raise(text: str) -> None:
    raise RuntimeError(text)
