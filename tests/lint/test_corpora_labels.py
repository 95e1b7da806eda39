"""The labels of the first truth are whole, and the comparison tells new, gone and wrong findings."""

from __future__ import annotations

from gradlint.rules import RULES

from tests.lint.corpora.labels import Label, Place, read, report
from tests.lint.corpora.packages import PINNED

ONE, TWO = Place("GRD201", "timm", "a.py", 3), Place("GRD201", "timm", "b.py", 4)


def test_the_labels_name_known_rules_and_packages() -> None:
    labels = read()
    assert {place.rule for place in labels} <= {info.code for info in RULES}
    assert {place.package for place in labels} <= {requirement.partition("==")[0] for requirement in PINNED}
    assert all(label.reason for label in labels.values())


def test_the_report_counts_and_compares() -> None:
    text, same = report([ONE, TWO], {ONE: Label(True, "yes"), TWO: Label(False, "no")}, {"timm": 40_000})
    assert same
    assert text[1] == "GRD201      1     1  timm 1/1"
    assert text[2] == "timm: 40 kLOC, 40 kLOC per wrong finding"
    text, same = report([ONE], {TWO: Label(True, "yes")}, {"timm": 40_000})
    assert not same
    assert [line.partition(":")[0] for line in text[-2:]] == ["new, to be read and labelled", "expected, not found"]
