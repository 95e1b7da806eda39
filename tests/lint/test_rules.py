"""Every rule of the registry against its fixture folder, and its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.model import Level, RuleInfo, Violation
from gradlint.rule import SECTIONS
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source

from tests.lint.fixture_table import covered

FIXTURES = Path(__file__).parent / "fixtures"
EVERY_RULE = pytest.mark.parametrize("info", RULES, ids=lambda info: f"{info.code}-{info.name}")


def _source(info: RuleInfo, name: str) -> Source:
    path = FIXTURES / info.code / f"{name}.py"
    assert path.is_file(), f"{info.code} has no fixture {name}.py"
    return Source.decode(path.read_bytes(), path.name)


def _lint(info: RuleInfo, source: Source) -> list[Violation]:
    return lint_source(source, Settings(), load([info]))


def _applied(source: Source, violations: list[Violation]) -> str:
    edits = {edit for violation in violations if violation.fix for edit in violation.fix.edits}
    text = source.text
    for edit in sorted(edits, key=lambda edit: edit.range, reverse=True):
        start, end = source.offset(edit.range.start), source.offset(edit.range.end)
        text = text[:start] + edit.content + text[end:]
    return text


def _without_expectations(text: str) -> str:
    return re.sub(r"  # expect: .*", "", text)


@EVERY_RULE
def test_bad_is_reported_on_exactly_the_marked_lines(info: RuleInfo) -> None:
    source = _source(info, "bad")
    marks = {
        number: re.findall(r"GRD\d{3}", line.partition("# expect:")[2])
        for number, line in enumerate(source.text.splitlines(), 1)
    }
    expected = [(number, code) for number, codes in marks.items() for code in codes]
    assert expected, "bad.py marks no line"
    assert [(found.range.start.line, found.code) for found in _lint(info, source)] == expected


@EVERY_RULE
@pytest.mark.parametrize("name", ["good", "traps"])
def test_good_and_traps_are_silent(info: RuleInfo, name: str) -> None:
    assert _lint(info, _source(info, name)) == []


@EVERY_RULE
def test_fixes_of_bad_give_fixed_and_nothing_is_left_to_fix(info: RuleInfo) -> None:
    source = _source(info, "bad")
    violations = _lint(info, source)
    if info.fix is None:
        assert all(violation.fix is None for violation in violations)
        return
    best = {violation.fix.safety for violation in violations if violation.fix}
    assert info.fix in best, "bad.py shows no fix of the safety that the registry promises"
    fixed = _source(info, "fixed")
    assert _without_expectations(_applied(source, violations)) == fixed.text
    assert [violation for violation in _lint(info, fixed) if violation.fix] == []


@EVERY_RULE
def test_the_fixtures_run_nearly_all_of_a_rule(info: RuleInfo) -> None:
    found = covered(info)
    assert min(found.told, found.silent, found.proofs) > 0
    assert (found.fixed > 0) == (info.fix is not None)
    assert found.share > 0.85, f"no fixture runs the lines {sorted(found.lines - found.run)}"


@EVERY_RULE
def test_the_page_is_complete(info: RuleInfo) -> None:
    (rule,) = load([info])
    assert rule.checks, "the module has no @checks function"
    assert rule.page.summary.endswith(".")
    assert tuple(rule.page.sections) == SECTIONS
    assert all(rule.page.sections.values())
    assert isinstance(info.level, Level)


@EVERY_RULE
def test_the_page_example_is_reported_and_its_replacement_is_not(info: RuleInfo) -> None:
    (rule,) = load([info])
    prelude = "import torch\nfrom torch import nn\nmodel = net = None\n"
    bad, good = (
        prelude + rule.page.sections[title].removeprefix("```python\n").removesuffix("\n```") + "\n"
        for title in ("Example", "Use instead")
    )
    assert [found.code for found in _lint(info, Source("page.py", bad))] == [info.code]
    assert _lint(info, Source("page.py", good)) == []


def test_codes_and_names_are_unique_and_ordered() -> None:
    codes = [info.code for info in RULES]
    assert codes == sorted(set(codes))
    assert len({info.name for info in RULES}) == len(RULES)


def test_every_fixture_folder_belongs_to_a_rule() -> None:
    assert {path.name for path in FIXTURES.iterdir() if path.is_dir()} == {info.code for info in RULES}
