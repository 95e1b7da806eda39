"""`render`: the page of a report that was written as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_gradcheck.render import document
from tests.cli.conftest import Command
from tests.render.samples import session


@pytest.fixture(autouse=True)
def _report(project: Path) -> None:
    document.write(project / "report.json", session())


def test_the_page_stands_beside_the_json_or_where_it_is_asked_for(command: Command, project: Path) -> None:
    page = pytest.importorskip("pytest_gradcheck.render.page")
    assert command("render", "report.json") == (0, "wrote report.html\n", "")
    assert command("render", "report.json", "-o", "site/index.html") == (0, "wrote site/index.html\n", "")
    made = page.render_page(session())
    assert (project / "report.html").read_text() == (project / "site" / "index.html").read_text() == made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.json"], "none.json: No such file or directory"),
        (["shop"], "shop: Is a directory"),
        (["shop/layers.py"], "shop/layers.py holds no JSON: "),
        (["report.json", "-o", "page.json"], "--output page.json: the page is a file that ends in .html"),
        (["report.json", "-o", "page"], "--output page: a report is a file that ends in .html or .json"),
        (["report.json", "-o", "report.json/a.html"], "report.json is no folder that can be written to"),
    ],
)
def test_a_wrong_question_exits_with_two(command: Command, words: list[str], said: str) -> None:
    found = command("render", *words)
    assert found.code == 2 and found.err.startswith("error: ") and said in found.err


def test_without_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "missing", lambda: "jinja2")
    said = "error: an HTML report needs jinja2, which is not installed: pip install 'pytest-gradcheck[report]'\n"
    assert command("render", "report.json") == (2, "", said)
    found = command("check", "shop.layers:swish", "--input", "3", "--html", "a.html")
    assert found.code == 2 and "which is not installed" in found.err and "--json works without" in found.err
