"""The processes of one `torchrun`: how they agree, so that none of them leaves while another waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import torch
import torch.distributed as dist

from pytest_gradcheck import launch
from pytest_gradcheck.errors import GradcheckError, UsageProblem

#: Seconds that a rank waits for the others, and the environment variable that changes it.
PATIENCE, VARIABLE = 300.0, "PYTEST_GRADCHECK_RANK_TIMEOUT"
T = TypeVar("T")


class RankLost(GradcheckError):
    """Another rank does not answer any more; the message says what to look for."""


@dataclass(frozen=True)
class Ranks:
    """This process among the others.

    Everything here is for the CPU and on a process group of its own, so it mixes with no collective of the user's.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes, at least 2.
        group: The process group that the ranks agree over.
    """

    rank: int
    size: int
    group: Any

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank: they travel by maximum, which no number of ranks can overflow."""
        found = torch.tensor([int(flag)])
        with self._answered():
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self.group)
        return bool(found)

    def gather(self, mine: T) -> list[T]:
        """What every rank has, in their order."""
        found: list[Any] = [None] * self.size
        with self._answered():
            dist.all_gather_object(found, mine, group=self.group)
        return found

    def from_first(self, values: torch.Tensor) -> torch.Tensor:
        """What rank 0 has; every rank passes a tensor of the same shape, which is written into."""
        with self._answered():
            dist.broadcast(values, 0, group=self.group)
        return values

    def together(self, mine: torch.Tensor) -> list[torch.Tensor]:
        """Every rank's tensor, in their order; all have the same shape."""
        found = [torch.empty_like(mine) for _ in range(self.size)]
        with self._answered():
            dist.all_gather(found, mine, group=self.group)
        return found

    def same(self, asked: str) -> None:
        """Holds that all ranks are asked the same.

        Raises:
            UsageProblem: They are not.
            RankLost: Another rank does not answer.
        """
        for other, theirs in enumerate(self.gather(asked)):
            if theirs != asked:
                raise UsageProblem(
                    f"rank {self.rank} runs {asked} while rank {other} runs {theirs}: every rank must run the same "
                    f"tests in the same order"
                )

    @contextmanager
    def alike(self) -> Iterator[None]:
        """Runs a block that every rank runs; where it raises on one, it raises on all.

        Raises:
            UsageProblem: The block raised on some rank; the message names it.
            RankLost: Another rank does not answer.
        """
        raised: Exception | None = None
        try:
            yield
        except RankLost:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the others must hear of it
            raised = error
        if not self.any(raised is not None):
            return
        said = self.gather(None if raised is None else str(raised) or type(raised).__name__)
        if isinstance(raised, UsageProblem) and all(text == str(raised) for text in said):
            raise raised
        rank, text = next((rank, text) for rank, text in enumerate(said) if text is not None)
        raise UsageProblem(f"rank {rank} of {self.size}: {text}") from raised

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's DistError is one
            raise RankLost(lost(self.rank, self.size, error)) from None


def lost(rank: int, size: int, error: BaseException) -> str:
    """What to say where a collective failed."""
    first = str(error).strip().partition("\n")[0].partition(". This is typically")[0]
    return (
        f"rank {rank} of {size} got no answer from the others: one has ended, or waited in another collective for over "
        f"{patience():g} s ({VARIABLE} changes that); look for the first failure in what the ranks printed ({first})"
    )


def of_ranks(error: BaseException) -> bool:
    """Whether an error is that of a collective whose other ranks did not come; gloo raises plain RuntimeErrors."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def current(start: bool = False) -> Ranks | None:
    """This process among its ranks, or None where it is alone.

    Args:
        start: Whether to start the process group where `torchrun`'s environment asks for one and nobody did.

    Raises:
        UsageProblem: The group cannot be started; the message says why.
    """
    if not dist.is_available():
        return None
    if not dist.is_initialized():
        if not start or launch.ranks() < 2:
            return None
        _start()
    if dist.get_world_size() < 2:
        return None
    return Ranks(dist.get_rank(), dist.get_world_size(), _own_group())


def patience() -> float:
    """Seconds to wait for other ranks.

    Raises:
        UsageProblem: The environment variable is no positive number.
    """
    said = os.environ.get(VARIABLE)
    try:
        seconds = float(said) if said else PATIENCE
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageProblem(f"{VARIABLE} is {said!r}, but it must be a positive number of seconds")
    return seconds


def stop() -> None:
    """Lets go of the other ranks, and whoever waits hears at once; a group that others started is left alone."""
    _OWN.clear()
    if dist.is_available() and dist.is_initialized() and dist.group.WORLD in _STARTED:
        dist.destroy_process_group()


#: The groups of this process that were started here, and the one to agree over by the group of the world it belongs
#: to. They are as global as torch's own, and go with them.
_STARTED: WeakSet[Any] = WeakSet()
_OWN: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _start() -> None:
    local = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    accelerated = torch.cuda.is_available() and torch.cuda.device_count() >= local and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if accelerated else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=patience()))
    except (RuntimeError, ValueError) as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        said = str(error).strip().partition("\n")[0]
        others = int(os.environ["WORLD_SIZE"]) - 1
        raise UsageProblem(
            f"rank {os.environ['RANK']} could not meet the other {others} at {place}, where RANK and WORLD_SIZE say "
            f"they are; without these two variables it runs alone ({said})"
        ) from error
    _STARTED.add(dist.group.WORLD)


def _own_group() -> Any:
    world = dist.group.WORLD
    if world not in _OWN:
        _OWN[world] = dist.new_group(backend="gloo", timeout=timedelta(seconds=patience()))
    return _OWN[world]
