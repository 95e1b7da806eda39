"""Elements too small for the noise of the whole objective: what a tensor's GOOD does not say of them is said aloud.

The objective rounds at the size of all outputs. An element whose gradient is 1e-12 of its tensor's largest lies below
that, and a wrong sign in it passes.
"""

from __future__ import annotations

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.checks.measure import Comparison
from pytest_gradcheck.model import Finding, Verdict
from pytest_gradcheck.numerics.comparison import PROOF
from pytest_gradcheck.subjects.subject import Leaf

#: Share of the largest gradient below which a value is the rounding of a zero, in which nothing can be wrong.
NOTHING = 1e-14


def undecided(context: Context, comparison: Comparison) -> list[int]:
    """Probes of a tensor that is GOOD whose own gradient could have the wrong sign inside of its error bar."""
    sizes = comparison.autograd.abs()
    if not len(sizes) or comparison.judged(context).verdict is not Verdict.GOOD:
        return []
    hidden = (sizes <= PROOF * comparison.bars) & (sizes > NOTHING * sizes.max())
    kept = comparison.kept()
    found: list[int] = kept[hidden[kept]].tolist()
    return found


def note(leaf: Leaf, comparison: Comparison, small: list[int]) -> Finding:
    """What is said of elements that stay undecided."""
    least = min(small, key=lambda i: abs(float(comparison.autograd[i])))
    position = comparison.probes[least].position
    assert position is not None
    count, value = len(small), float(comparison.autograd[least])
    which = "is smaller than its error bar" if count == 1 else "are smaller than their error bars"
    certified = "it is certified" if count == 1 else "they are certified"
    return Finding(
        "small",
        "info",
        f"{leaf.name}: {count} of {len(comparison.probes)} elements {which}, so {certified} only as part of the "
        f"tensor; the smallest is {value:.1e} at {list(leaf.index(position))}",
    )
