"""Causes that show by where the wrong elements lie."""

from __future__ import annotations

from pytest_gradcheck.diagnosis.evidence import Evidence


def few_elements(evidence: Evidence) -> str | None:
    """A handful of elements are wrong and all others right."""
    wrong = evidence.wrong().nonzero().flatten()
    measured = len(evidence.positions)
    if not 0 < len(wrong) <= max(1, measured // 8) or measured < 4:
        return None
    indices = ", ".join(str(_index(evidence, int(i))) for i in wrong[:5])
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    of = f"{measured}" if measured == evidence.numel else f"{measured} sampled"
    return f"only {len(wrong)} of {of} elements differ, at {indices}{more}; all others agree"


def where_negative(evidence: Evidence) -> str | None:
    """Wrong exactly where the tensor itself is negative, or exactly where it is positive."""
    wrong = evidence.wrong()
    for sign, word in ((-1, "negative"), (1, "positive")):
        there = evidence.values * sign > 0
        # With fewer than six elements on a side the pattern would be a coincidence too often.
        if int(there.sum()) >= 6 and int((~there).sum()) >= 6 and bool((wrong == there).all()):
            return f"wrong exactly where {evidence.name} is {word} ({int(there.sum())} elements), right everywhere else"
    return None


def _index(evidence: Evidence, i: int) -> list[int]:
    position, index = int(evidence.positions[i]), []
    for size in reversed(evidence.shape):
        position, rest = divmod(position, size)
        index.append(rest)
    return index[::-1]
