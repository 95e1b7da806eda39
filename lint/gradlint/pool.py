"""Does jobs here or in several processes, with the same results in the same order."""

from __future__ import annotations

import platform
import signal
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gradlint.errors import InternalError
from gradlint.project_files import FactsStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.context import BaseContext

    from gradlint.job import Job, Outcome

FILES_FOR_A_POOL: Final = 25
_BATCH_BYTES: Final = 150_000
_PATIENCE: Final = 0.5


def do(jobs: Sequence[Job], processes: int, store: FactsStore, done: Callable[[int], None]) -> list[Outcome]:
    """The outcome of each job; `done` is told how many are finished. Raises InternalError."""
    if processes <= 1 or len(jobs) < FILES_FOR_A_POOL:
        return _here(jobs, store, done)
    from concurrent.futures import ProcessPoolExecutor, as_completed  # slow to import
    from concurrent.futures.process import BrokenProcessPool

    batches = _batches(jobs)
    outcomes: dict[int, Outcome] = {}
    with ProcessPoolExecutor(min(processes, len(batches)), _context(), initializer=_begin) as executor:
        try:
            futures = [executor.submit(_work, [(index, jobs[index]) for index in batch]) for batch in batches]
            for future in as_completed(futures):
                finished, known = future.result()
                outcomes.update(finished)
                store.known.update(known)
                done(len(outcomes))
        except BrokenProcessPool:
            _stop(executor)
            raise InternalError("internal error: a worker process died (out of memory?); try --jobs 1") from None
        except BaseException:
            _stop(executor)
            raise
    return [outcomes[index] for index in range(len(jobs))]


def _here(jobs: Sequence[Job], store: FactsStore, done: Callable[[int], None]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for job in jobs:
        outcomes.append(_run(job, store))
        done(len(outcomes))
    return outcomes


def _batches(jobs: Sequence[Job]) -> list[list[int]]:
    """Jobs in portions of similar size, the largest files first: no process is left with a large one at last."""
    batches: list[list[int]] = []
    size = _BATCH_BYTES
    for index in sorted(range(len(jobs)), key=lambda index: -len(jobs[index].data)):
        if size >= _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(index)
        size += len(jobs[index].data) + 2_000
    return batches


def _context() -> BaseContext:
    """Forked where that is safe and cheap (one thread, Linux): libcst is imported once. Else as the system does."""
    from multiprocessing import get_context

    if platform.system() != "Linux":
        return get_context()
    import gradlint.worker  # noqa: F401 - before the fork
    from gradlint.stack import end_thread

    end_thread()
    return get_context("fork")


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the run


@lru_cache(maxsize=1)
def _own_store() -> FactsStore:
    """The facts that a worker process has read."""
    return FactsStore()


def _work(batch: Sequence[tuple[int, Job]]) -> tuple[dict[int, Outcome], dict[str, str]]:
    store = _own_store()
    return {index: _run(job, store) for index, job in batch}, store.known


def _run(job: Job, store: FactsStore) -> Outcome:
    from gradlint.stack import on_usual_stack
    from gradlint.worker import run

    try:
        return on_usual_stack(lambda: run(job, store))
    except Exception as error:  # noqa: BLE001 - said in one sentence, with the file that caused it
        raise InternalError(f"internal error in {job.name}: {type(error).__name__}: {error}") from None


def _stop(executor: ProcessPoolExecutor) -> None:
    """End the workers now, and free the thread that may wait for one of them to read its next job.

    From Python 3.11 on it frees itself, and a second hand on the same pipe would be an error in that thread.
    """
    manager = getattr(executor, "_executor_manager_thread", None)
    processes = list((executor._processes or {}).values())
    queue = getattr(executor, "_call_queue", None)
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    if manager is not None:
        manager.join(_PATIENCE)
        if manager.is_alive():
            with suppress(AttributeError, OSError):
                queue._reader.close()  # type: ignore[union-attr]
