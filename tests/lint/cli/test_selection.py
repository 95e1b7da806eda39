"""Which rules run and what of them is shown."""

from __future__ import annotations

import pytest
from gradlint.model import Level
from gradlint.rules import RULES
from gradlint.selection import select

from tests.lint.cli.code import BROKEN, LENET, TYPO
from tests.lint.cli.conftest import Cli, Write

OWN = {"GRD001", "GRD002"}


def active(
    *, chosen: tuple[str, ...] | None = None, ignored: tuple[str, ...] = (), extra: tuple[str, ...] = ()
) -> set[str]:
    return set(select(chosen, ignored, extra, "test").active)


def test_the_default_set() -> None:
    assert active() == OWN | {"GRD003"} | {info.code for info in RULES if info.default}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("GRD703", {"GRD703"}),
        ("grd703", {"GRD703"}),
        ("require-grad-typo", {"GRD703"}),
        ("GRD70", {info.code for info in RULES if info.code.startswith("GRD70")}),
        ("ALL", {"GRD003"} | {info.code for info in RULES}),
    ],
)
def test_a_selector_is_a_code_a_prefix_a_name_or_all(selector: str, expected: set[str]) -> None:
    assert active(chosen=(selector,)) == OWN | expected


def test_ignoring_takes_away_but_never_the_linters_own() -> None:
    assert active(ignored=("GRD703",)) == active() - {"GRD703"}
    assert active(ignored=("ALL",)) == OWN
    assert active(chosen=("GRD703",), ignored=("GRD001", "GRD002")) == OWN | {"GRD703"}


def test_the_more_exact_selector_wins() -> None:
    assert "GRD703" in active(chosen=("GRD703",), ignored=("GRD7",))
    assert "GRD703" not in active(chosen=("GRD7",), ignored=("GRD703",))
    assert "GRD703" not in active(chosen=("GRD703",), ignored=("GRD703",))
    assert active(chosen=("GRD703",), extra=("GRD701",)) == OWN | {"GRD703", "GRD701"}


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--select", "GRD999", "no rule is called 'GRD999'"),
        ("--select", "GDR703", "did you mean 'GRD703'?"),
        ("--ignore", "require-grad-tpyo", "did you mean 'require-grad-typo'?"),
        ("--extend-select", "", "no code given"),
    ],
)
def test_an_unknown_code_is_wrong_use_with_a_suggestion(cli: Cli, option: str, text: str, said: str) -> None:
    found = cli(option, text)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith(f"gradlint: {option}: ")
    assert said in found.err


def test_info_is_shown_only_when_selected(cli: Cli, write: Write) -> None:
    write("a.py", LENET)
    shown = [
        "GRD201" in cli("a.py", *options).out
        for options in ((), ("--select", "GRD201"), ("--extend-select", "GRD201"), ("--select", "ALL"))
    ]
    assert shown == [False, True, True, True]
    assert "GRD201" not in cli("a.py", "--ignore", "GRD703").out


def test_unreadable_files_cannot_be_deselected(cli: Cli, write: Write) -> None:
    write("a.py", BROKEN)
    for options in (("--select", "GRD703"), ("--ignore", "ALL"), ("--ignore", "GRD001")):
        found = cli("a.py", *options)
        assert "GRD001" in found.out
        assert found.status == 1


def test_several_options_add_up(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    assert cli("a.py", "--select", "GRD1", "--select", "GRD7,").status == 1
    assert cli("a.py", "--select", "GRD1").status == 0


def test_levels_beside_info_and_pedantic_are_always_shown() -> None:
    selection = select(None, (), (), "test")
    assert [selection.shows("GRD703", level) for level in Level] == [True, True, False, False]
