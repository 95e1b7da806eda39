"""`python -m tests.lint.corpora [--only timm] [--select GRD101] [--messages] [--write]`: exit 1 at any change."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.lint.corpora.labels import Place, read, report
from tests.lint.corpora.linted import lint_package
from tests.lint.corpora.packages import PINNED, fetch
from tests.lint.corpora.page import write


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.lint.corpora", description="Lint pinned packages, compare the labels.")
    default = Path(tempfile.gettempdir()) / "gradlint-corpora"
    parser.add_argument("--cache", type=Path, default=default, help="where the wheels are unpacked")
    parser.add_argument("--only", action="append", help="a package (default: all)")
    parser.add_argument("--select", default="", help="codes; default: the default set")
    parser.add_argument("--messages", action="store_true", help="show each finding's message")
    parser.add_argument("--write", action="store_true", help="docs/gradlint-precision.md, if all is as labelled")
    options = parser.parse_args()
    codes = frozenset(filter(None, options.select.split(",")))
    found: list[Place] = []
    lines: dict[str, int] = {}
    for requirement in PINNED:
        package = requirement.partition("==")[0]
        if options.only and package not in options.only:
            continue
        linted = lint_package(fetch(requirement, options.cache), codes, os.cpu_count() or 1)
        lines[package] = linted.lines
        for one in linted.violations:
            found.append(Place(one.code, package, one.path, one.range.start.line))
            if options.messages:
                print(f"{package}\t{one.path}:{one.range.start.line}: {one.code} {one.message}")
    labels = {place: label for place, label in read().items() if not codes or place.rule in codes}
    text, same = report(found, labels, lines)
    print("\n".join(text))
    if options.write and same and not codes:
        write(lines)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
