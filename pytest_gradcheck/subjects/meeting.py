"""Where all ranks meet before a check: do they check the same, and does the subject call collectives?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.ranks import Ranks, current
from pytest_gradcheck.subjects.collective import Crowd, Part
from pytest_gradcheck.subjects.subject import Subject


@contextmanager
def meeting(asked: str) -> Iterator[Callable[[Subject], Crowd | None]]:
    """All ranks meet at every check. Yields a function of the subject: the crowd where it calls collectives, else None.

    Args:
        asked: What is checked, and with which seed.

    Raises:
        UsageProblem: The ranks do not check the same, or the subject raised on another rank.
        RankLost: Another rank does not answer.
    """
    ranks = current()
    if ranks is not None:
        ranks.same(f"the check of {asked}")
    came = ranks is None

    def meet(subject: Subject) -> Crowd | None:
        nonlocal came
        if ranks is None:
            return None
        part = _part(subject)
        came = True
        parts = _met(ranks, part)
        return Crowd(ranks, subject, parts) if any(each.collectives for each in parts) else None

    try:
        yield meet
    except Exception as error:
        if ranks is not None and not came:
            parts = ranks.gather(Part(raised=str(error) or type(error).__name__))
            # Where all of them raised, each has its own to tell, and may try again in another dtype like the others.
            if any(part.raised is None for part in parts):
                raise UsageProblem(f"rank {ranks.rank} of {ranks.size}: {error}") from error
        raise


def _met(ranks: Ranks, mine: Part) -> list[Part]:
    parts = ranks.gather(mine)
    for other, part in enumerate(parts):
        if part.raised is not None:
            raise UsageProblem(f"rank {other} of {ranks.size}: {part.raised}")
    return parts


class _Collectives(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the collectives that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "c10d" in func.namespace:
            self.names[func.overloadpacket.__name__.rstrip("_")] = None
        return func(*args, **(kwargs or {}))


def _part(subject: Subject) -> Part:
    """One forward and one backward, which every rank runs at the same time."""
    leaves = [leaf.tensor for leaf in subject.leaves]
    with _Collectives() as seen:
        outputs = subject.evaluate()
        reached = [output for output in outputs if output.requires_grad]
        # What a backward raises is a result of the check that follows.
        with suppress(Exception):
            torch.autograd.grad(reached, leaves, [torch.ones_like(output) for output in reached], allow_unused=True)
    return Part(
        collectives=tuple(seen.names),
        leaves=[(leaf.name, leaf.tensor.detach().cpu(), leaf.kind) for leaf in subject.leaves],
        outputs=[(output.detach().cpu(), output.requires_grad) for output in outputs],
    )
