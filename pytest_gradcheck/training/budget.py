"""What watching has cost so far, and whether the next look is within the share of the run's time that it may take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds that watching may always take: nobody waits for them, and short runs are seen in full.
GRACE = 0.05
#: How much the latest cost of a kind of look counts in its estimate.
_LATEST = 0.3


class Budget:
    """Measures the looks at a run, and allows those that keep watching within its share of the run's time.

    On an accelerator the time is the host's: what the device does meanwhile is not seen.

    Args:
        share: Share of the time besides watching that it may take, such as 0.02; None allows everything.
        grace: Seconds that are allowed in any case.
        clock: Gives the seconds that passed.

    Attributes:
        spent: Seconds spent on watching.
    """

    def __init__(
        self, share: float | None, grace: float = GRACE, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._share = share
        self._grace, self.clock = grace, clock
        self._start = clock()
        self._costs: dict[str, tuple[int, float]] = {}
        self.spent = 0.0

    def allows(self, *kinds: str) -> bool:
        """Whether looks of these kinds fit; one that was never measured does."""
        if self._share is None:
            return True
        cost = sum(self._costs[kind][1] for kind in kinds if kind in self._costs)
        return self.spent + cost <= self._share * self._others() + self._grace

    def charge(self, kind: str) -> _Charge:
        """A context whose time is that of one look of this kind."""
        return _Charge(self, kind)

    def add(self, kind: str, seconds: float) -> None:
        """Note what one look took."""
        times, known = self._costs.get(kind, (0, 0.0))
        # the second look replaces the first, which warmed the caches up
        cost = seconds if times < 2 else known + _LATEST * (seconds - known)
        self._costs[kind] = times + 1, cost
        self.spent += seconds

    @property
    def overhead(self) -> float:
        """Watching as a share of the time besides it; 0 before any time has passed."""
        others = self._others()
        return self.spent / others if others > 0 else 0.0

    def _others(self) -> float:
        return max(0.0, self.clock() - self._start - self.spent)


class _Charge:
    __slots__ = ("_budget", "_kind", "_start")

    def __init__(self, budget: Budget, kind: str) -> None:
        self._budget, self._kind = budget, kind

    def __enter__(self) -> None:
        self._start = self._budget.clock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.add(self._kind, self._budget.clock() - self._start)
