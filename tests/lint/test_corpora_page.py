"""What pages say of precision is counted from the labels."""

from __future__ import annotations

import pytest
from gradlint.rules import RULES

from tests.lint.corpora.labels import Label, Place
from tests.lint.corpora.page import JUDGED, measured, page, write

INFO = {info.code: info for info in RULES}
LABELS = {
    Place("GRD205", "timm", "a.py", 3): Label(True, "yes"),
    Place("GRD205", "timm", "a.py", 9): Label(True, "yes"),
    Place("GRD205", "kornia", "b.py", 4): Label(False, "no"),
    Place("GRD205", "d2l", "c.py", 4): Label(False, "not-judged"),
}


def test_a_rule_is_told_its_findings_and_the_right_ones_of_the_five_packages() -> None:
    assert measured(INFO["GRD205"], LABELS).startswith("3 findings in the five packages")
    assert measured(INFO["GRD205"], LABELS).endswith(", 2 right.")
    assert measured(INFO["GRD703"], LABELS).startswith("Fires nowhere in the five packages")
    assert measured(INFO["GRD110"], LABELS).startswith("Not measured: outside of the default set")


def test_the_page_has_a_row_a_rule_and_the_budget() -> None:
    text = page(LABELS, dict.fromkeys(JUDGED, 20_000))
    assert "| [GRD205](rules/GRD205.md) | 2 / 0 | 0 / 0 | 0 / 1 | 0 / 0 | 0 / 0 | 67% |" in text
    assert "Wrong findings: 1 in 100 thousand lines, one in 100 thousand lines" in text
    assert "GRD703" in text.splitlines()[-1]
    assert "GRD205" not in text.splitlines()[-1]


def test_a_page_of_some_packages_is_refused() -> None:
    with pytest.raises(SystemExit, match="transformers"):
        write({"timm": 1})
