"""A baseline hides the problems that were there, however they move, and shows every new one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gradlint.baseline import Baseline, Entry
from gradlint.model import Level, Position, Range, Violation

from tests.lint.cli.code import BROKEN, SATURATED, TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook

AGAIN = "w.require_grad = True\n"


def shown(cli: Cli, *arguments: str) -> list[str]:
    found = cli(".", "--output-format", "json", *arguments)
    elements = json.loads(found.out)
    assert found.status == bool(elements)
    return [f"{each['path']}:{each['line']}" for each in elements]


def test_known_problems_are_not_shown(cli: Cli, write: Write) -> None:
    write("a.py", TYPO + AGAIN)
    write("b/broken.py", BROKEN)
    write("n.ipynb", notebook(TYPO))
    wrote = cli(".", "--write-baseline", "known.json")
    assert (wrote.status, wrote.out, wrote.err) == (0, "", "gradlint: wrote 4 problems to known.json\n")
    found = cli(".", "--baseline", "known.json", "--output-format", "concise")
    assert (found.status, found.out, found.err) == (0, "Found 0 problems (0 fixable).\n", "")


def test_new_problems_are_shown_and_moved_ones_are_not(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    cli(".", "--write-baseline", "known.json")
    write("a.py", "# moved\n\n" + TYPO.replace("w.require", "w.require"))
    assert shown(cli, "--baseline", "known.json") == []
    write("a.py", "# moved\n" + TYPO + "\n" + AGAIN)
    assert shown(cli, "--baseline", "known.json") == ["a.py:7"], "one more of the same is new"
    write("a.py", TYPO.replace("True", "False"))
    assert shown(cli, "--baseline", "known.json") == ["a.py:4"], "a changed line is a new problem"
    write("b.py", TYPO)
    assert shown(cli, "--baseline", "known.json") == ["a.py:4", "b.py:4"]


def test_equal_fingerprints_are_counted(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    cli(".", "--write-baseline", "known.json")
    path = Path("known.json")
    twice = json.loads(path.read_text(encoding="utf-8"))
    twice["problems"][0]["count"] = 2
    path.write_text(json.dumps(twice), encoding="utf-8")
    found = cli(".", "--baseline", "known.json")
    assert (found.status, "known.json: 1 entry is stale" in found.err) == (0, True)


def test_of_equal_problems_as_many_as_are_known_are_hidden() -> None:
    place = Range(Position(1, 1), Position(1, 1))
    one = Violation("GRD703", "x", Level.ERROR, "m", "a.py", place, fingerprint="f")
    known = Baseline(Path("known.json"), (Entry("a.py", "GRD703", Level.ERROR, "f", "m", 2),))
    assert known.new([one, one]) == []
    assert known.new([one, one, one]) == [one]


def test_stale_entries_are_said(cli: Cli, write: Write) -> None:
    write("a.py", TYPO + AGAIN)
    write("b.py", TYPO)
    cli(".", "--write-baseline", "known.json")
    write("a.py", TYPO)
    Path("b.py").unlink()
    found = cli(".", "--baseline", "known.json")
    advice = "the problems are gone; --write-baseline known.json brings it up to date"
    assert (found.status, found.err) == (0, f"gradlint: known.json: 2 entries are stale, {advice}\n")


def test_what_was_not_looked_for_is_not_stale(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    write("b.py", SATURATED)
    cli(".", "--select", "GRD703,GRD201", "--write-baseline", "known.json")
    for arguments in (("a.py",), ("b.py",), (".", "--select", "GRD5")):
        found = cli(*arguments, "--ignore", "GRD101", "--baseline", "known.json")
        assert "stale" not in found.err, arguments


def test_a_baseline_is_found_from_another_folder(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("pkg/a.py", TYPO)
    write("config/x")
    cli("pkg", "--write-baseline", "config/known.json")
    assert shown(cli, "--baseline", "config/known.json") == []
    monkeypatch.chdir("pkg")
    assert shown(cli, "--baseline", "../config/known.json") == []


def test_the_file_is_sorted_an_entry_a_line(cli: Cli, write: Write) -> None:
    for name in ("b.py", "a.py"):
        write(name, TYPO)
    cli("b.py", "a.py", "--write-baseline", "known.json")
    lines = Path("known.json").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line.strip(" ,"))["path"] for line in lines[3:-2]] == ["a.py", "b.py"]
    before = Path("known.json").read_bytes()
    cli(".", "--write-baseline", "known.json")
    assert Path("known.json").read_bytes() == before


def test_an_empty_baseline(cli: Cli, write: Write) -> None:
    write("a.py")
    assert cli(".", "--write-baseline", "known.json").status == 0
    assert cli(".", "--baseline", "known.json").status == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "k.json: No such file or directory; --write-baseline k.json makes one"),
        ("", "k.json is not a baseline; --write-baseline k.json makes one"),
        ("[]", "k.json is not a baseline; --write-baseline k.json makes one"),
        ('{"gradlint-baseline": 1, "problems": [{}]}', "k.json is not a baseline; --write-baseline k.json makes one"),
        ('{"gradlint-baseline": 9}', "k.json is of version 9, not 1"),
    ],
)
def test_what_is_no_baseline_is_wrong_use(cli: Cli, write: Write, content: str | None, said: str) -> None:
    write("a.py", TYPO)
    if content is not None:
        write("k.json", content)
    found = cli("a.py", "--baseline", "k.json")
    assert (found.status, found.out, found.err) == (2, "", f"gradlint: --baseline: {said}\n")


def test_a_baseline_that_cannot_be_written_is_wrong_use(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    found = cli("a.py", "--write-baseline", "no/k.json")
    assert (found.status, found.err) == (2, "gradlint: --write-baseline: no/k.json: No such file or directory\n")


@pytest.mark.parametrize("narrowing", ["--baseline", "--write-baseline", "--diff-base"])
@pytest.mark.parametrize("changing", ["--fix", "--diff"])
def test_fixes_do_not_go_with_a_choice_of_problems(cli: Cli, write: Write, narrowing: str, changing: str) -> None:
    path = write("a.py", TYPO)
    found = cli("a.py", changing, narrowing, "x")
    assert found.status == 2
    assert (
        found.err == f"gradlint: {changing} changes files whatever their age, {narrowing} does not: give one of them\n"
    )
    assert path.read_text(encoding="utf-8") == TYPO
