"""The README and the pages of docs/ say only what is true today: examples run, links lead somewhere, pictures hold."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from tests.docs import reference
from tests.docs.fences import DOCUMENTS
from tests.docs.pictures import FOLDER, PICTURES, draw, numbers
from tests.docs.snippets import PAGES, README, ROOT, blocks, normal, outputs, with_rules

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_example_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    for block, output in outputs(page.read_text(), tmp_path):
        command = f"python -m tests.docs.snippets {page.relative_to(ROOT)}"
        assert normal(output) == normal(block.text), f"{block.what}: run `{command}` and look at the change"


@pytest.mark.parametrize("page", DOCUMENTS, ids=[str(page.relative_to(ROOT)) for page in DOCUMENTS])
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def test_the_rule_table_is_that_of_the_registry() -> None:
    document = README.read_text()
    assert with_rules(document) == document, "run `python -m tests.docs.snippets` and look at the change"
    assert "GRD701" in document


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    document = '<!-- output: python -c "print(1 + 1)" -->\n```console\n$ python -c "print(1 + 1)"\n3\n```'
    ((block, output),) = outputs(document, tmp_path)
    assert normal(output) == '$ python -c "print(1 + 1)"\n2\n' != normal(block.text)


def test_the_readme_has_files_and_outputs() -> None:
    assert {block.kind for block in blocks(README.read_text())} == {"file", "output"}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_is_measured_today(name: str, tmp_path: Path) -> None:
    drawn = json.loads((FOLDER / "numbers.json").read_text())[name]
    found = numbers(name)
    assert drawn.keys() == found.keys()
    for label, curve in found.items():
        for old, new in zip(drawn[label], curve, strict=True):
            close = [math.isclose(a, b, rel_tol=0.1, abs_tol=1e-9) for a, b in zip(old, new, strict=True)]
            # Roundoff, which one picture is about, may fall otherwise on another processor.
            assert sum(close) >= 0.9 * len(close), f"{name}, {label}: run `python -m tests.docs.pictures`"
    pytest.importorskip("matplotlib", reason="the extra [report] is not installed")
    draw(name, found, tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text()
    assert (FOLDER / f"{name}.svg").is_file()


def test_the_reference_is_that_of_the_code() -> None:
    said = "run `python -m tests.docs.reference` and look at the change"
    assert reference.PAGE.read_text() == reference.document(), said
