"""Every check has a page, its example prints what the page says, and what is made of the code is up to date."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_gradcheck
from pytest_gradcheck.settings import CHECKS
from tests.docs.check_pages import MADE, PAGES, RESULTS, WORDS, examples, made, printed
from tests.docs.measured import found
from tests.gradcheck.false_alarms import DISAGREE
from tests.gradcheck.mutants import SPECS


@pytest.mark.parametrize("check", CHECKS)
def test_the_example_prints_what_the_page_says(check: str) -> None:
    page = PAGES / f"{check}.md"
    found = examples(page)
    assert found
    for code, said in found:
        assert said.strip()
        assert printed(code) == said
    assert page.read_text(encoding="utf-8").startswith(f"# `{check}`\n")


def test_there_is_no_page_of_a_check_that_is_gone() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*CHECKS, *MADE, *RESULTS, *WORDS}


def test_the_pages_made_of_the_code_are_up_to_date() -> None:
    for name, text in made().items():
        assert (PAGES / name).read_text(encoding="utf-8") == text, "python -m tests.docs.check_pages writes it anew"


def test_the_measured_pages_count_what_there_is() -> None:
    """A result that is older than the set it was measured on is no result."""
    matrix = found(PAGES / "kill-matrix.md")
    counts = Counter(fault.group for spec in SPECS for fault in spec.faults.values())
    assert f"{len(SPECS)} right Functions, {counts.total()} mutants, {counts.total()} caught" in matrix
    for group, count in counts.items():
        assert f"| {group} | {count} | {count} |" in matrix
    alarms = found(PAGES / "false-alarms.md")
    named = {line.split("[")[0].removeprefix("| ") for line in alarms.splitlines() if "[" in line}
    assert named
    assert named <= set(DISAGREE)
    for page in (matrix, alarms):
        assert re.match(r"Measured on \d{4}-\d\d-\d\d, torch \S+, CPU\.\n", page)


def test_every_class_of_fault_has_at_least_five_mutants() -> None:
    counts = Counter(fault.group for spec in SPECS for fault in spec.faults.values())
    assert min(counts.values()) >= 5, counts


#: Kinds that the code does not write down where it makes the finding: an excuse's, a constant's, a check's own name.
PASSED_ON = {"kink", "kinks", "jump", "domain-edge", "padding", "power-iteration", "cotangent", "needs-input-grad"}


def kinds() -> Iterator[str]:
    """The kinds of findings that the checks and the engine give, as the code writes them."""
    package = Path(pytest_gradcheck.__file__).parent
    for path in (package / "engine.py", *sorted((package / "checks").glob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                yield from (str(kind.value) for kind in node.args[:1] if isinstance(kind, ast.Constant))


def test_every_kind_of_finding_is_explained_and_no_other() -> None:
    page = (PAGES / "findings.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) | set(re.findall(r"\[`([a-z-]+)`\]\(", page))
    explained |= set(re.findall(r"^`([a-z-]+)` of \[", page, re.MULTILINE))
    assert explained - {"precision", "vjp"} == {*kinds(), *PASSED_ON} - {"precision"}
