"""Prints the kill matrix: which check catches how many mutants of each class, beside torch.autograd.gradcheck.

Run as `python -m tests.gradcheck.kill_matrix`; `--each` adds one line a mutant, `--write` puts it in its page.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict

from tests.docs.measured import PAGES, put
from tests.gradcheck.mutants import SPECS
from tests.gradcheck.mutants.hunt import checked, hunted, torch_catches, torch_flags

#: Columns that are a check of their own; a finding's kind is its check's name, but for precision's.
COLUMNS = (
    "vjp",
    "cotangent",
    "contract",
    "needs-input-grad",
    "mutation",
    "reentrant",
    "outputs",
    "leak",
    "jvp",
    "vmap",
    "native-forward",
    "low-precision",
    "precision",
    "second-order",
)
PAGE = PAGES / "kill-matrix.md"
TORCH = ("torch slow", "torch fast")


def measured(each: bool = False) -> dict[str, dict[str, int]]:
    """How many mutants each column catches, by class of fault; beside "all", and "caught" by the check that should."""
    table: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for spec in SPECS:
        for name, fault in spec.faults.items():
            caught = hunted(spec, name)
            caught |= {said for said, fast in zip(TORCH, (False, True), strict=True) if torch_catches(spec, name, fast)}
            row = table[fault.group]
            row["all"] += 1
            row["caught"] += fault.check in caught
            for column in caught:
                row[column] += 1
            if each:
                print(f"{spec.name}: {name}: wants {fault.check}, caught by {', '.join(sorted(caught)) or 'nobody'}")
    return table


def report(table: dict[str, dict[str, int]]) -> str:
    """The matrix as a table in Markdown, and the alarms on right Functions."""
    columns = ("all", "caught", *COLUMNS, *TORCH)
    total = {column: sum(row[column] for row in table.values()) for column in columns}
    lines = [
        f"{len(SPECS)} right Functions, {total['all']} mutants, {total['caught']} caught by the check that should.",
        "",
    ]
    lines += ["| class of fault | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for group, row in (*table.items(), ("total", total)):
        lines.append(f"| {group} | " + " | ".join(str(row[column] or ".") for column in columns) + " |")
    lines += ["", "Right Functions that are flagged all the same:", ""]
    for said, fast in zip(TORCH, (False, True), strict=True):
        wrongly = [spec.name for spec in SPECS if torch_flags(spec.right(), spec, fast, forward=False, second=False)]
        lines.append(f"- {said}: {', '.join(wrongly) or 'none'}")
    alarms = [spec.name for spec in SPECS if (found := checked(spec.right(), spec)) is None or not found.passed]
    return "\n".join([*lines, f"- pytest-gradcheck: {', '.join(alarms) or 'none'}"])


def main() -> None:
    """Prints the matrix and the alarms on right Functions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", action="store_true", help="one line a mutant as well")
    parser.add_argument("--write", action="store_true", help=f"write the matrix into {PAGE.name} too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    said = report(measured(options.each))
    print(said)
    if options.write:
        put(PAGE, said)


if __name__ == "__main__":
    main()
