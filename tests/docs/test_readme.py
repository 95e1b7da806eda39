"""The README says only what is true today: its examples run, and print what it shows."""

from __future__ import annotations

from pathlib import Path

from tests.docs.snippets import README, blocks, normal, outputs, with_rules


def test_every_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    document = README.read_text()
    compared = [(block.what, normal(block.text), normal(output)) for block, output in outputs(document, tmp_path)]
    assert compared, "the README shows no output"
    for command, claimed, found in compared:
        assert found == claimed, f"{command}: run `python -m tests.docs.snippets` and look at the change"


def test_the_rule_table_is_that_of_the_registry() -> None:
    document = README.read_text()
    assert with_rules(document) == document, "run `python -m tests.docs.snippets` and look at the change"
    assert "GRD701" in document


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    document = '<!-- output: python -c "print(1 + 1)" -->\n```text\n3\n```'
    ((block, output),) = outputs(document, tmp_path)
    assert normal(output) == "2\n" != normal(block.text)


def test_blocks_are_found() -> None:
    kinds = {block.kind for block in blocks(README.read_text())}
    assert kinds == {"file", "output"}
