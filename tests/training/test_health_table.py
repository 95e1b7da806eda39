"""The table of rules against nets: every sick one is caught, no healthy one is flagged, the page is true."""

from __future__ import annotations

import re

import pytest

from tests.training import health_table


@pytest.fixture(scope="module")
def made() -> str:
    return health_table.page()


def rows(text: str, heading: str) -> list[list[str]]:
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1:]]


def test_every_sick_net_is_caught_and_no_healthy_one_is_flagged(made: str) -> None:
    nets = rows(made, "Nets at initialisation")
    assert sum(row[1] == "healthy" for row in nets) >= 6
    assert sum(row[1] == "sick" for row in nets) >= 5
    for row in nets:
        assert (row[7] == "none") is (row[1] == "healthy"), row


def test_the_usual_rules_do_worse(made: str) -> None:
    """Otherwise these rules would have no reason to be."""
    nets = rows(made, "Nets at initialisation")
    assert any(row[1] == "healthy" and row[8] != "none" for row in nets)


def test_every_sick_run_is_caught_and_no_healthy_one_is_flagged(made: str) -> None:
    runs = rows(made, "Runs")
    for row in runs:
        assert (row[4] == "none" and row[2].startswith("loss ")) is (row[1] == "healthy"), row


def test_other_sick_nets_are_caught_and_other_healthy_ones_are_not_flagged(made: str) -> None:
    others = rows(made, "Other nets")
    assert sum(row[1] == "healthy" for row in others) >= 15
    assert sum(row[1] == "sick" for row in others) >= 10
    for row in others:
        fine = row[2].startswith("loss ") and row[4] == row[5] == "none"
        assert fine is (row[1] == "healthy"), row


def test_warnings_come_before_the_nan(made: str) -> None:
    ended = [row for row in rows(made, "Runs") if row[2].startswith(("nan", "inf"))]
    assert ended
    for row in ended:
        assert re.search(r"[1-9]\d* before", row[3]), row


def test_the_page_is_what_the_command_writes(made: str) -> None:
    assert health_table.PAGE.read_text(encoding="utf-8") == made, "run python -m tests.training.health_table"
