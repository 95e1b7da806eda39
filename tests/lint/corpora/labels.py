"""The labels: for each finding its place, whether it is right, and one word why."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXPECTED: Final = Path(__file__).with_name("expected.tsv")


class Place(NamedTuple):
    """Where a finding stands."""

    rule: str
    package: str
    path: str
    line: int


class Label(NamedTuple):
    """What reading the code said of it."""

    right: bool
    reason: str


def read(path: Path = EXPECTED) -> dict[Place, Label]:
    """The labels of the file."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    return {
        Place(rule, package, file, int(line)): Label(verdict == "true", reason)
        for rule, package, file, line, verdict, reason in rows
    }


def report(found: Iterable[Place], labels: Mapping[Place, Label], lines: Mapping[str, int]) -> tuple[list[str], bool]:
    """The table of rules and packages, what is new and what is gone; and whether all is as expected."""
    places = sorted(set(found))
    known = [place for place in places if place in labels]
    new = [place for place in places if place not in labels]
    gone = sorted(place for place in labels if place.package in lines and place not in set(places))
    counts: dict[str, dict[str, Counter[bool]]] = defaultdict(lambda: defaultdict(Counter))
    for place in known:
        counts[place.rule][place.package][labels[place].right] += 1
    text = ["rule    right wrong  packages (right/wrong)"]
    for rule, packages in sorted(counts.items()):
        right, wrong = (sum(one[verdict] for one in packages.values()) for verdict in (True, False))
        shares = ", ".join(f"{name} {one[True]}/{one[False]}" for name, one in sorted(packages.items()))
        text.append(f"{rule}  {right:5} {wrong:5}  {shares}")
    for package, size in lines.items():
        wrong = sum(not labels[place].right for place in known if place.package == package)
        budget = f"{size / 1000 / wrong:.0f} kLOC per wrong finding" if wrong else "no wrong finding"
        text.append(f"{package}: {size / 1000:.0f} kLOC, {budget}")
    text += ["new, to be read and labelled:\t" + "\t".join(map(str, place)) for place in new]
    text += ["expected, not found:\t" + "\t".join(map(str, place)) for place in gone]
    return text, not new and not gone
