"""Right custom Functions with named faults: what the checks must catch, and what they must leave alone."""

from __future__ import annotations

from tests.gradcheck.mutants import elementwise, indexing, linear, memory, normalising, outputs, returned, rules
from tests.gradcheck.mutants.spec import Fault, Spec

SPECS: tuple[Spec, ...] = (
    *elementwise.SPECS,
    *linear.SPECS,
    *normalising.SPECS,
    *indexing.SPECS,
    *memory.SPECS,
    *returned.SPECS,
    *outputs.SPECS,
    *rules.SPECS,
)

__all__ = ["SPECS", "Fault", "Spec"]
