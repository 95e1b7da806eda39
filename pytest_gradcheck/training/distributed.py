"""A run of several ranks: DistributedDataParallel around the model, and one verdict for all of them in every step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data.distributed import DistributedSampler

from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.ranks import RankLost, Ranks, current, lost, of_ranks
from pytest_gradcheck.training.reader import Reader

if TYPE_CHECKING:
    from pytest_gradcheck.training.plan import Plan


class Alone:
    """A run of one process: nobody to agree with."""

    #: What a report of the run must say.
    notes: tuple[str, ...] = ()

    def meet(self, asked: str) -> None:
        """Called once a run, before anything is computed: all ranks must be asked the same."""

    def share(self, batches: Any) -> tuple[int, int]:  # noqa: ARG002
        """Of so many batches that are drawn (second), which one (first) is this process's own."""
        return 0, 1

    def bare(self, model: nn.Module) -> nn.Module:
        """The model without what makes it one of several."""
        return model

    def wrapped(self, model: nn.Module) -> nn.Module:
        """What the forward of a step goes through."""
        return model

    def may_replay(self, model: nn.Module) -> bool:  # noqa: ARG002
        """Whether a step can be run again by this process on its own."""
        return True

    def alike(self) -> AbstractContextManager[None]:
        """Runs a block that raises on all ranks where it raises on one."""
        return nullcontext()

    def verdict(self, failure: Failure | None) -> Failure | None:
        """The failure of this step: that of any rank."""
        return failure

    def blamed(self, error: Exception) -> None:
        """Raises where an error in backward is that of the ranks' all-reduce, and not the model's own."""

    def mean(self, losses: list[float]) -> list[float]:
        """The loss of every step, as the mean over ranks."""
        return losses


class Team(Alone):
    """A run of several ranks; they fail together, and with the same words.

    Args:
        ranks: This process among the others.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        said = f"trained by {ranks.size} ranks under DistributedDataParallel; the losses are those of rank {ranks.rank}"
        self.notes = (f"{said}; remedies and bundles are off there",)

    def meet(self, asked: str) -> None:
        """As `Alone.meet`.

        Raises:
            UsageProblem: The ranks were asked different things.
        """
        self._ranks.same(asked)

    def share(self, batches: Any) -> tuple[int, int]:
        """Every rank draws all batches and keeps each `size`-th; a loader that shares by itself is left to it."""
        if isinstance(getattr(batches, "sampler", None), DistributedSampler):
            return 0, 1
        return self._ranks.rank, self._ranks.size

    def bare(self, model: nn.Module) -> nn.Module:
        """As `Alone.bare`."""
        return model.module if isinstance(model, DistributedDataParallel) else model

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model under DistributedDataParallel, which copies rank 0's weights to all; a wrapped one as it is."""
        return model if isinstance(model, DistributedDataParallel) else DistributedDataParallel(model)

    def may_replay(self, model: nn.Module) -> bool:
        """Not where a layer waits for the other ranks, which may have nothing to run again."""
        return not any(isinstance(layer, nn.SyncBatchNorm) for layer in model.modules())

    def alike(self) -> AbstractContextManager[None]:
        """As `Alone.alike`.

        Raises:
            UsageProblem: The block raised on some rank; the message names it.
            RankLost: Another rank does not answer.
        """
        return self._ranks.alike()

    def verdict(self, failure: Failure | None) -> Failure | None:
        """The same failure on all ranks, in the words of the first one whose own batch shows it."""
        if not self._ranks.any(failure is not None):
            return None
        found = [(rank, each) for rank, each in enumerate(self._ranks.gather(failure)) if each is not None]
        # After the all-reduce a nan of one rank is in every rank's gradients; a replay of its own step finds it on one.
        rank, told = min(found, key=lambda pair: (pair[1].reproduced is False, pair[0]))
        shown = [other for other, each in found if each.reproduced is not False]
        if len(shown) in (0, self._ranks.size):
            return told
        said = (
            f"it arose on rank {rank} of {self._ranks.size}, and reached the others through the gradients' all-reduce"
        )
        return replace(told, evidence=(*told.evidence, said))

    def blamed(self, error: Exception) -> None:
        """As `Alone.blamed`.

        Raises:
            RankLost: Another rank did not answer.
        """
        if of_ranks(error):
            raise RankLost(lost(self._ranks.rank, self._ranks.size, error)) from None

    def mean(self, losses: list[float]) -> list[float]:
        """As `Alone.mean`: the same numbers on every rank, so that they are judged alike."""
        gathered: Sequence[list[float]] = self._ranks.gather(losses)
        return [fmean(each) for each in zip(*gathered, strict=True)]


def shared(plan: Plan) -> Plan:
    """The plan for all ranks where there are several: every gradient read in its own step, so that all ranks see it."""
    ranks = current(start=True)
    if ranks is None:
        return plan
    return replace(plan, team=Team(ranks), max_overhead=None, reader=Reader, bundle=None)
