"""Does the forward give the same values twice? With its random numbers replayed it should."""

from __future__ import annotations

from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding


class Determinism:
    """Measures forward non-determinism; what it finds widens every error bar."""

    name = "determinism"

    def run(self, context: Context) -> Outcome:
        """Evaluates twice more at the same point."""
        spread = max(abs(context.objective()) for _ in range(2))
        if spread == 0.0:
            return Outcome()
        context.spread = spread
        message = (
            f"the forward is not deterministic: two equal calls, with the same random state, differ by {spread:.1e} in "
            f"the checked projection; the error bars allow for it"
        )
        return Outcome(findings=[Finding("non-determinism", "warning", message)])
