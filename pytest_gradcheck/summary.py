"""What the end of a run says of its checks: one line that counts the verdicts and, where asked for, the slowest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_gradcheck.properties import Said, read

if TYPE_CHECKING:
    import pytest

_VERDICTS = ("GOOD", "INCONCLUSIVE", "SUSPICIOUS", "WRONG")
#: Checks that passed with warnings and are named; the report lists all.
_NAMED = 5


def lines(reports: Iterable[pytest.TestReport], durations: int | None) -> Iterator[str]:
    """The lines to print; none where nothing was checked.

    Args:
        reports: The tests' reports.
        durations: How many of the slowest checks and runs to list; 0 lists all, None no list.
    """
    found = [(report.nodeid, said) for report in reports for said in read(report)]
    if durations is not None:
        yield from _slowest(found, durations)
    counts = Counter(said.verdict for _, said in found if said.kind == "gradcheck")
    if counts:
        warned = [(test, said) for test, said in found if said.verdict == "GOOD" and said.warnings]
        shares = [f"{counts[verdict]} {verdict}" for verdict in _VERDICTS if counts[verdict]]
        if warned:
            shares[0] += f" ({len(warned)} with warnings)"
        yield f"gradcheck: {counts.total()} gradient check{'s' if counts.total() != 1 else ''}: {', '.join(shares)}"
        for test, said in warned[:_NAMED]:
            more = f" (and {len(said.warnings) - 1} more)" if len(said.warnings) > 1 else ""
            yield f"  GOOD with a warning: {test}: {said.warnings[0]}{more}"
        if len(warned) > _NAMED:
            yield f"  and {len(warned) - _NAMED} more; --gradcheck-report has all of them"


def _slowest(found: list[tuple[str, Said]], most: int) -> Iterator[str]:
    timed = sorted((entry for entry in found if entry[1].seconds), key=lambda entry: -entry[1].seconds)
    if not timed:
        return
    total = sum(said.seconds for _, said in timed)
    shown = timed[:most] if most else timed
    yield f"gradcheck: slowest {len(shown)} of {len(timed)} checks and runs, {total:.2f} s in all"
    for test, said in shown:
        yield f"  {said.seconds:8.2f} s  {said.verdict:12}  {test}"
