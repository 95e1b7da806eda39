"""Every further check has a page, and the page's example prints what the page says."""

from __future__ import annotations

import pytest

from pytest_gradcheck.settings import CHECKS
from tests.docs.check_pages import PAGES, examples, printed

#: Explained in the README: what a gradient check is.
IN_THE_README = {"determinism", "vjp", "cotangent", "second-order"}


@pytest.mark.parametrize("check", sorted(set(CHECKS) - IN_THE_README))
def test_the_example_prints_what_the_page_says(check: str) -> None:
    page = PAGES / f"{check}.md"
    found = examples(page)
    assert found
    for code, said in found:
        assert said.strip()
        assert printed(code) == said
    assert page.read_text(encoding="utf-8").startswith(f"# `{check}`\n")


def test_there_is_no_page_of_a_check_that_is_gone() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} <= {*CHECKS, "kill-matrix"}
