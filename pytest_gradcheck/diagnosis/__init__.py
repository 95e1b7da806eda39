"""From a failing measurement to its likely cause. One cause a function; where none is sure, nothing is said."""

from pytest_gradcheck.diagnosis.evidence import SAID, Cause, Columns, Evidence, Gradient
from pytest_gradcheck.diagnosis.missing import constant_along, low_rank
from pytest_gradcheck.diagnosis.moved import flipped, memory_order, rolled, swapped, transposed
from pytest_gradcheck.diagnosis.outputs import bent_cotangent, duplicates, one_output, one_slice_of_the_output
from pytest_gradcheck.diagnosis.patterns import constant_factor, flat, no_gradient, not_finite, sign_flip
from pytest_gradcheck.diagnosis.places import beyond, border, few_elements, one_slice, tail, where_negative

#: From the most to the least specific explanation; the first that is sure is given.
CAUSES = (
    not_finite,
    no_gradient,
    flat,
    sign_flip,
    constant_factor,
    swapped,
    transposed,
    flipped,
    rolled,
    memory_order,
    one_slice,
    tail,
    border,
    where_negative,
    beyond,
    duplicates,
    bent_cotangent,
    one_output,
    one_slice_of_the_output,
    constant_along,
    low_rank,
    few_elements,
)


def diagnose(evidence: Evidence) -> Cause | None:
    """The first cause that fits surely, or None."""
    for cause in CAUSES:
        found = cause(evidence)
        if found is not None and found.confidence >= SAID:
            return found
    return None


__all__ = ["CAUSES", "Cause", "Columns", "Evidence", "Gradient", "diagnose"]
