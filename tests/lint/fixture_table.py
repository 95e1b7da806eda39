"""What the fixtures of each rule cover.

    python -m tests.lint.fixture_table              # the table
    python -m tests.lint.fixture_table GRD501       # and the lines of these rules that no fixture runs

`told` counts the marked lines of `bad.py`, `silent` the definitions and statements of `good.py` and `traps.py`, `fixed`
those of the told lines that have a fix, `proofs` the tests with torch of the numbers that the rule names, and `run` is
the share of the statements of the rule's own file that its fixtures execute.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.model import RuleInfo, Violation
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
PROOFS = HERE / "proof"


@dataclass(frozen=True)
class Covered:
    """What the fixtures of one rule cover."""

    code: str
    told: int
    silent: int
    fixed: int
    proofs: int
    run: frozenset[int]
    lines: frozenset[int]

    @property
    def share(self) -> float:
        """The statements of the rule's file that the fixtures execute, 0..1."""
        return len(self.run) / len(self.lines)


def covered(info: RuleInfo) -> Covered:
    """Run all fixtures of a rule."""
    (rule,) = load([info])
    path = Path(str(import_module(rule.checks[0].function.__module__).__file__))
    lines = frozenset(_lines(compile(path.read_text(encoding="utf-8"), str(path), "exec")))
    told: list[Violation] = []
    silent = 0
    with _Traced(path) as traced:
        for name in ("bad", "good", "traps", "fixed"):
            file = FIXTURES / info.code / f"{name}.py"
            if not file.is_file():
                continue
            found = lint_source(Source.decode(file.read_bytes(), file.name), Settings(), [rule])
            told += found if name == "bad" else []
            silent += _pieces(file) if name in ("good", "traps") else 0
    return Covered(
        info.code, len(told), silent, sum(one.fix is not None for one in told), _proofs(info), lines & traced.run, lines
    )


def _lines(code: CodeType) -> Iterator[int]:
    """The lines of the functions of a file; what stands outside of them runs when it is imported."""
    for constant in code.co_consts:
        at_import = code.co_name == "<module>" and getattr(constant, "co_name", "").startswith("<")
        if isinstance(constant, CodeType) and not at_import:
            yield from (
                line for _, _, line in constant.co_lines() if line is not None and line != constant.co_firstlineno
            )
            yield from _lines(constant)


def _pieces(file: Path) -> int:
    """The functions, methods and statements of a file at its top level or in classes."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = [item for each in tree.body if isinstance(each, ast.ClassDef) for item in each.body]
    imports = (ast.Import, ast.ImportFrom, ast.ClassDef)
    return sum(not isinstance(each, imports) for each in (*tree.body, *inside))


def _proofs(info: RuleInfo) -> int:
    file = PROOFS / f"test_{info.code.lower()}.py"
    return len(re.findall(r"^def test_", file.read_text(encoding="utf-8"), re.MULTILINE)) if file.is_file() else 0


class _Traced:
    """Notes the lines of one file that run."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self.run: set[int] = set()

    def __enter__(self) -> _Traced:
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename == self._path else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.run.add(frame.f_lineno)
        return self._line


def main(asked: list[str]) -> int:
    """Print the table."""
    every = [covered(info) for info in RULES]
    print("| rule | told | silent | fixed | proofs | run |\n|---|---:|---:|---:|---:|---:|")
    for one in every:
        print(f"| {one.code} | {one.told} | {one.silent} | {one.fixed} | {one.proofs} | {one.share:.0%} |")
        if one.code in asked:
            print(f"lines that no fixture runs: {sorted(one.lines - one.run)}", file=sys.stderr)
    whole = sum(len(one.run) for one in every) / sum(len(one.lines) for one in every)
    sums = [sum(getattr(one, name) for one in every) for name in ("told", "silent", "fixed", "proofs")]
    print(f"| all {len(every)} | {' | '.join(map(str, sums))} | {whole:.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
