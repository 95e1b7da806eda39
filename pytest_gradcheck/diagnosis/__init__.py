"""From a failing measurement to its likely cause. One cause a function; where none fits, nothing is said."""

from pytest_gradcheck.diagnosis.evidence import Evidence
from pytest_gradcheck.diagnosis.patterns import constant_factor, no_gradient, not_finite, sign_flip, transposed
from pytest_gradcheck.diagnosis.places import few_elements, where_negative

#: From the most to the least specific explanation; the first that fits is given.
CAUSES = (not_finite, no_gradient, sign_flip, constant_factor, transposed, few_elements, where_negative)


def diagnose(evidence: Evidence) -> str | None:
    """The cause that fits, with its evidence, or None."""
    for cause in CAUSES:
        found = cause(evidence)
        if found:
            return found
    return None


__all__ = ["CAUSES", "Evidence", "diagnose"]
