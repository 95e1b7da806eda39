"""What prose names exists: rules, checks, ini options, variables of the environment, headings, pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gradlint.rules import OWN, RULES

from pytest_gradcheck.cli import main as command_line
from pytest_gradcheck.settings import CHECKS
from tests.docs.fences import DOCUMENTS, prose
from tests.docs.snippets import README, ROOT

EVERY_PAGE = pytest.mark.parametrize("page", DOCUMENTS, ids=[str(page.relative_to(ROOT)) for page in DOCUMENTS])
OURS = re.compile(r"\b(?:PYTEST_GRADCHECK|GRADLINT|FASHION_MNIST)_[A-Z_]+\b")


def said(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(document: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@EVERY_PAGE
def test_every_rule_that_is_named_is_in_the_registry(page: Path) -> None:
    known = {info.code for info in (*OWN, *RULES)}
    assert set(re.findall(r"\bGRD\d{3}\b", said(page))) <= known


@EVERY_PAGE
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", prose(said(page))):
        there = page.parent / target if target else page
        assert anchor in anchors(said(there)), f"{target}#{anchor}"


@EVERY_PAGE
def test_every_ini_option_that_is_named_is_registered(page: Path, pytestconfig: pytest.Config) -> None:
    named = set(re.findall(r"`((?:gradcheck|smoke|fashion_mnist)_[a-z_]+)(?: = [^`]*)?`", prose(said(page))))
    fixtures = {"smoke_train", "gradcheck_device"}
    assert named - fixtures <= set(pytestconfig._parser._inidict)


def test_every_page_can_be_reached_from_the_first() -> None:
    seen, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", said(page))
        there = [(page.parent / target).resolve() for target in targets]
        ahead += [target / "README.md" if target.is_dir() else target for target in there]
    assert {page for page in DOCUMENTS if page.parent != ROOT} - seen == set()


def test_the_variables_that_are_named_are_those_that_are_read() -> None:
    sources = [path for folder in ("pytest_gradcheck", "lint") for path in (ROOT / folder).rglob("*.py")]
    read = {name for path in sources for name in re.findall(rf"\"({OURS.pattern})\"", said(path))}
    named = {name for page in DOCUMENTS for name in OURS.findall(said(page))}
    assert read == named


def test_the_checks_are_listed_in_their_order() -> None:
    (row,) = [line for line in said(README).splitlines() if line.startswith("| `--gradcheck-checks NAMES` |")]
    assert re.findall(r"`([a-z-]+)`", row.partition("to run:")[2]) == list(CHECKS)


def test_the_exit_codes_of_the_command_line_are_those_of_the_code() -> None:
    (sentence,) = re.findall(r"^The exit code is .+$", said(ROOT / "docs" / "report.md"), re.MULTILINE)
    codes = [command_line.PASSED, command_line.FAILED, command_line.USAGE, command_line.INTERRUPTED]
    assert [int(code) for code in re.findall(r"\b\d+\b", sentence)] == codes


def test_the_markers_are_written_as_they_are_registered(pytestconfig: pytest.Config) -> None:
    reference = re.sub(r"\s+", " ", said(ROOT / "docs" / "reference.md"))
    lines = [line for line in pytestconfig.getini("markers") if re.match(r"gradcheck\(|smoke_train\(", line)]
    assert len(lines) == 2
    assert all(line in reference for line in lines)
    assert f"`{lines[0].partition(': ')[0]}`" in re.sub(r"\s+", " ", said(README))


def test_the_pythons_are_those_of_the_metadata_and_of_ci() -> None:
    named = re.findall(r"Python :: (3\.\d+)\"", said(ROOT / "pyproject.toml"))
    first, last = named[0], named[-1]
    assert f"Python {first} to {last}" in said(ROOT / "docs" / "gradlint.md")
    assert f"Python {first} to {last}" in said(ROOT / "CONTRIBUTING.md")
    (loop,) = re.findall(r"^for version in (.+); do$", said(ROOT / ".ci" / "run"), re.MULTILINE)
    assert sorted([*loop.split(), "3.11"]) == sorted(named), "3.11 is the one that runs everything"
