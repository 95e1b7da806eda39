"""How often a true error exceeds the error bar that was claimed for it, over many functions, points and shifts.

python -m tests.numerics.calibration
python -m tests.numerics.calibration --write docs/calibration.md
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from pytest_gradcheck.numerics.noise import fine_noise
from pytest_gradcheck.numerics.stencil import sweep
from tests.numerics.test_stencil import FUNCTIONS, SINGULAR, Functions, at_eps, line_of

#: Points a function; the tests use 25.
POINTS = [-2.69 + 0.0561 * k for k in range(100)]
HEAD = ("estimate", "function", "points", "bar broken", "worst error / bar", "median relative error", "median bar")


def rows() -> Iterator[tuple[str, ...]]:
    """A row a function and estimate: two steps at eps 1e-5, and the sweep."""
    functions: Functions = FUNCTIONS | SINGULAR
    for estimate, chosen in ((at_eps, FUNCTIONS), (sweep, functions)):
        for name, (function, derivative) in chosen.items():
            excesses, errors, bars = [], [], []
            for x in POINTS:
                line = line_of(function, x)
                found = estimate(line, max(fine_noise(line), 2**-53 * abs(function(x))))
                truth = derivative(x)
                excesses.append(abs(found.value - truth) / found.bar)
                errors.append(abs(found.value - truth) / abs(truth))
                bars.append(found.bar / abs(truth))
            broken = sum(excess > 1 for excess in excesses)
            yield (
                "two steps" if estimate is at_eps else "sweep",
                name,
                str(len(POINTS)),
                str(broken),
                f"{max(excesses):.2f}",
                f"{statistics.median(errors):.1e}",
                f"{statistics.median(bars):.1e}",
            )


def main() -> None:
    """Prints the table, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page to write")
    arguments = parser.parse_args()
    table = list(rows())
    total, broken = sum(int(row[2]) for row in table), sum(int(row[3]) for row in table)
    lines = ["| " + " | ".join(row) + " |" for row in (HEAD, ("---",) * len(HEAD), *table)]
    said = (
        f"Of {total} error bars {broken} were smaller than the true error, the worst by "
        f"{max(float(row[4]) for row in table):.2f} x. A difference counts as proven from three bars on."
    )
    print("\n".join([*lines, "", said]))
    if arguments.write:
        title = "# Calibration of the error bars"
        how = (
            f"Measured {datetime.now(timezone.utc):%Y-%m-%d} by `python -m tests.numerics.calibration --write "
            f"docs/calibration.md`: derivatives that are known exactly, beside those measured by finite differences."
        )
        poles = (
            "`pole` and `branch` come close to their singularities; two steps alone cannot see one, so the engine "
            "believes two steps only where they agree with autograd, and sweeps everything else."
        )
        arguments.write.write_text("\n\n".join([title, how, "\n".join(lines), said, poles]) + "\n")


if __name__ == "__main__":
    main()
