"""How far an optimizer moves the weights, measured: for those whose update is not the rate times the gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.model.run_health import Update
from pytest_gradcheck.training.sentinel import tensor_norms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gradcheck.training.sentinel import Named

#: Numbers of which copies are held for the length of a step: for those of all weights of a large net there is no room.
_MOST = 1 << 24


class Moves:
    """The updates of the steps that are looked at closely, by whatever optimizer.

    A copy of the weights lives from before the optimizer's step until the next step begins. Nothing here waits for a
    device: what is measured stays there until `found` is asked.
    """

    def __init__(self) -> None:
        self._waiting: tuple[int, float | torch.Tensor, Named, list[torch.Tensor]] | None = None
        self._measured: list[tuple[int, float | torch.Tensor, Sequence[str], torch.Tensor]] = []

    @property
    def waiting(self) -> bool:
        """Whether a step's copies are held."""
        return self._waiting is not None

    def take(self, step: int, rate: float | torch.Tensor, weights: Named) -> None:
        """Called before an optimizer's step: notes where the weights are, and a rate that nothing else changes."""
        room, small = _MOST, []
        for name, weight in weights:
            if weight.numel() <= room and weight.layout is torch.strided:
                room -= weight.numel()
                small.append((name, weight.detach()))
        if small:
            self._waiting = step, rate, small, [weight.clone() for _, weight in small]

    def measure(self) -> None:
        """Called when that step is over: how far they have moved since."""
        if self._waiting is None:
            return
        (step, rate, weights, copies), self._waiting = self._waiting, None
        torch._foreach_sub_(copies, [weight for _, weight in weights])
        norms = torch.stack([norm.float().to(copies[0].device) for norm in tensor_norms(copies)])
        self._measured.append((step, rate, [name for name, _ in weights], norms))

    def found(self, initial: Mapping[str, float]) -> Iterator[Update]:
        """The largest update of every measured step, relative to the norms that the weights began with."""
        for step, rate, names, norms in self._measured:
            pairs = zip(names, norms.tolist(), strict=True)
            # a step that was skipped, or failed before its update, moved nothing
            ratios = [(norm / initial[name], name) for name, norm in pairs if name in initial and 0 < norm < math.inf]
            if ratios:
                ratio, name = max(ratios)
                yield Update(step, name, ratio, float(rate))
