"""Prints the kill matrix: which check catches how many mutants of each class, beside torch.autograd.gradcheck.

Run as `python -m tests.gradcheck.kill_matrix`; `--each` adds one line a mutant.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict

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


def main() -> None:
    """Prints the matrix and the alarms on right Functions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", action="store_true", help="one line a mutant as well")
    warnings.simplefilter("ignore")
    table = measured(parser.parse_args().each)
    columns = ("all", "caught", *COLUMNS, *TORCH)
    total = {column: sum(row[column] for row in table.values()) for column in columns}
    print("| class of fault | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for group, row in (*table.items(), ("total", total)):
        print(f"| {group} | " + " | ".join(str(row[column] or ".") for column in columns) + " |")
    for said, fast in zip(TORCH, (False, True), strict=True):
        wrongly = [spec.name for spec in SPECS if torch_flags(spec.right(), spec, fast, forward=False, second=False)]
        print(f"\n{said} flags {len(wrongly)} of the {len(SPECS)} right Functions: {', '.join(wrongly) or 'none'}")
    alarms = [spec.name for spec in SPECS if (report := checked(spec.right(), spec)) is None or not report.passed]
    print(f"\npytest-gradcheck flags {len(alarms)} of the {len(SPECS)} right Functions: {', '.join(alarms) or 'none'}")


if __name__ == "__main__":
    main()
