"""What the labels say of each rule: one line for its page, and docs/gradlint-precision.md."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gradlint.rules import RULES

from tests.lint.corpora.labels import read
from tests.lint.corpora.packages import PINNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradlint.model import RuleInfo

    from tests.lint.corpora.labels import Label, Place

PAGE: Final = Path(__file__).parents[3] / "docs" / "gradlint-precision.md"
# The packages that precision is stated on; the others of `PINNED` only have labels.
JUDGED: Final = ("timm", "torchvision", "kornia", "pytorch-lightning", "transformers")


def counted(labels: Mapping[Place, Label]) -> dict[str, Counter[tuple[str, bool]]]:
    """For each rule how many findings in each judged package are right, and how many wrong."""
    found: dict[str, Counter[tuple[str, bool]]] = {}
    for place, label in labels.items():
        if place.package in JUDGED:
            found.setdefault(place.rule, Counter())[place.package, label.right] += 1
    return found


def measured(info: RuleInfo, labels: Mapping[Place, Label]) -> str:
    """What a rule's page says of its precision."""
    where = f"the five packages ([precision](../{PAGE.name}))"
    if not info.default:
        return f"Not measured: outside of the default set, which is what runs over {where}."
    counts = counted(labels).get(info.code, Counter())
    right = sum(count for (_, is_right), count in counts.items() if is_right)
    total = counts.total()
    plural = "finding" if total == 1 else "findings"
    return f"{total} {plural} in {where}, {right} right." if total else f"Fires nowhere in {where}."


def page(labels: Mapping[Place, Label], lines: Mapping[str, int]) -> str:
    """The table of rules and packages, after a run in which every finding was as labelled."""
    counts = counted(labels)
    today = datetime.now(tz=timezone.utc).date().isoformat()
    pinned = ", ".join(f"{one.replace('==', ' ')}" for one in PINNED if one.partition("==")[0] in JUDGED)
    quiet = [info.code for info in RULES if info.default and info.code not in counts]
    text = [
        "# How often gradlint is right",
        "",
        f"As of {today}; `python -m tests.lint.corpora --write` measures and writes this. The default set",
        f"over {pinned}.",
        "Every finding was read and labelled (`tests/lint/corpora/expected.tsv`: place, right or wrong, why); the run",
        "fails on one that is new or gone. A cell is right / wrong findings.",
        "",
        f"| rule | {' | '.join(JUDGED)} | right |",
        f"|---|{'---|' * len(JUDGED)}---|",
    ]
    for code, found in sorted(counts.items()):
        cells = [f"{found[package, True]} / {found[package, False]}" for package in JUDGED]
        right = sum(found[package, True] for package in JUDGED)
        text.append(f"| [{code}](rules/{code}.md) | {' | '.join(cells)} | {right / found.total():.0%} |")
    size = sum(lines[package] for package in JUDGED)
    wrong = sum(found[package, False] for found in counts.values() for package in JUDGED)
    budget = f"one in {size / 1000 / wrong:.0f} thousand lines" if wrong else "none"
    text += ["", f"Wrong findings: {wrong} in {size / 1000:.0f} thousand lines, {budget} (the budget is one in 20)."]
    text += ["", f"These fire nowhere in them: {', '.join(quiet)}."]
    return "\n".join(text) + "\n"


def write(lines: Mapping[str, int]) -> None:
    """Write the page. Raises SystemExit when a judged package was left out."""
    missing = [package for package in JUDGED if package not in lines]
    if missing:
        raise SystemExit(f"--write needs all five packages; {', '.join(missing)} was not linted")
    PAGE.write_text(page(read(), lines), encoding="utf-8")
