"""The rule pages are what the docstrings say today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlint.rules import OWN, RULES

from tests.docs.rule_pages import FOLDER, HEAD, pages, table, write

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "run `python -m tests.docs.rule_pages`"


def test_the_pages_under_docs_are_up_to_date() -> None:
    wanted = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert present.keys() == wanted.keys(), REMEDY
    assert [name for name, text in wanted.items() if present[name] != text] == [], REMEDY


def test_every_rule_has_a_page_with_its_facts() -> None:
    written = pages()
    for info in (*OWN, *RULES):
        fix = info.fix.value if info.fix else "none"
        default = "yes" if info.default else "no"
        row = f"| {info.code} | {info.name} | {info.level.value} | {fix} | {default} |"
        assert row in written[f"{info.code}.md"]
        for where, folder in ((written["README.md"], ""), (table(), "docs/rules/")):
            (line,) = [line for line in where.splitlines() if f"[{info.code}]({folder}{info.code}.md)" in line]
            assert line.startswith(row.replace(info.code, f"[{info.code}]({folder}{info.code}.md)"))
            assert line.count(" | ") == HEAD.count(" | ", 0, HEAD.index("\n")) + 1


def test_every_rule_says_how_often_it_was_right() -> None:
    written = pages()
    assert "\nMeasured: 2 findings in the five packages" in written["GRD205.md"]
    assert all("\nMeasured: " in written[f"{info.code}.md"] for info in RULES)


def test_writing_removes_pages_of_rules_that_are_gone_and_mends_changed_ones(tmp_path: Path) -> None:
    (tmp_path / "GRD999.md").write_text("gone")
    (tmp_path / "GRD703.md").write_text("changed by hand")
    write(tmp_path)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == pages()
