"""How this process was started, read from its environment: as one of torchrun's ranks, as an xdist worker, or alone."""

from __future__ import annotations

import os
from collections.abc import Mapping

#: What `torchrun` tells every rank; all of it is needed to start a process group.
NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def ranks(environment: Mapping[str, str] | None = None) -> int:
    """Number of ranks that were started together; 1 where this process is alone, or is one of xdist's workers."""
    known = os.environ if environment is None else environment
    if not all(known.get(name) for name in NEEDED) or "PYTEST_XDIST_WORKER" in known:
        return 1
    size = known["WORLD_SIZE"]
    return max(1, int(size)) if size.isdecimal() else 1


def rank(environment: Mapping[str, str] | None = None) -> int:
    """Number of this process among the ranks, from 0; 0 where it is alone."""
    known = os.environ if environment is None else environment
    return int(known["RANK"]) if ranks(known) > 1 and known["RANK"].isdecimal() else 0


def on_this_machine(environment: Mapping[str, str] | None = None) -> tuple[int, int]:
    """Number of this process among those that share the machine, and how many they are: ranks or xdist workers."""
    known = os.environ if environment is None else environment
    if ranks(known) > 1:
        size = _number(known.get("LOCAL_WORLD_SIZE"), ranks(known))
        return _number(known.get("LOCAL_RANK"), rank(known)), max(1, size)
    worker = known.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return _number(worker, 0), max(1, _number(known.get("PYTEST_XDIST_WORKER_COUNT"), 1))


def own_device(name: str, count: int) -> str:
    """The device that a name without an index means here: with several of them the processes take them in turn.

    Args:
        name: "cuda" or another kind of device, with or without an index.
        count: How many of that kind this machine has.
    """
    number, processes = on_this_machine()
    return f"{name}:{number % count}" if ":" not in name and count > 1 and processes > 1 else name


def command(environment: Mapping[str, str] | None = None) -> list[str]:
    """The words before `pytest` that start as many ranks again; none where this process is alone."""
    size = ranks(environment)
    return ["torchrun", "--nproc-per-node", str(size), "-m"] if size > 1 else []


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise
