"""Fixes: what is applied, what is not, and that a file is always whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gradlint.documents.document import Document, Script
from gradlint.edits import applied, compatible
from gradlint.fix import fix_all
from gradlint.model import Edit, Fix, Level, Position, Range, Safety, Violation
from gradlint.source import Source
from gradlint.writing import write_atomically

from tests.lint.cli.code import CLEAN, FIXED_TYPO, SATURATED, TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook


def edit(start: int, end: int, content: str) -> Edit:
    return Edit(Range(Position(1, start), Position(1, end)), content)


def violation(*edits: Edit, safety: Safety = Safety.SAFE) -> Violation:
    place = Range(Position(1, 1), Position(1, 1))
    return Violation("GRD999", "x", Level.ERROR, "m", "a.py", place, Fix(safety, edits))


def test_fix_changes_the_file_and_is_done(cli: Cli, write: Write) -> None:
    path = write("a.py", TYPO)
    found = cli("a.py", "--fix", "--output-format", "concise")
    assert (found.status, found.out) == (0, "Found 0 problems (0 fixable).\nFixed 1 problems.\n")
    assert path.read_text(encoding="utf-8") == FIXED_TYPO
    before = path.stat().st_mtime_ns
    assert cli("a.py", "--fix").status == 0
    assert path.stat().st_mtime_ns == before, "a file without a fix is not written"


def test_what_remains_is_shown_with_its_new_place(cli: Cli, write: Write) -> None:
    path = write("a.py", "import torch  # gradlint: ignore[GRD703]\n# gradlint: ignore[GRD703]\n" + SATURATED)
    chosen = ("a.py", "--fix", "--select", "GRD003,GRD201,GRD703")
    found = cli(*chosen, "--output-format", "concise")
    assert found.status == 1
    assert "a.py:4:" in found.out
    assert "GRD201 16" in found.out
    assert "Fixed 2 problems." in found.out
    assert path.read_text(encoding="utf-8") == "import torch\n" + SATURATED
    assert cli(*chosen, "--unsafe-fixes").status == 0
    assert "nn.ReLU()" in path.read_text(encoding="utf-8")


def test_diff_prints_and_changes_nothing(cli: Cli, write: Write) -> None:
    path = write("pkg/a.py", TYPO)
    found = cli("pkg", "--diff")
    assert found.status == 1
    assert found.out == (
        "--- pkg/a.py\n+++ pkg/a.py\n@@ -1,4 +1,4 @@\n import torch\n \n w = torch.zeros(3)\n"
        "-w.require_grad = True\n+w.requires_grad = True\n"
    )
    assert path.read_text(encoding="utf-8") == TYPO
    assert cli("pkg", "--diff", "--exit-zero").status == 0
    write("pkg/a.py", SATURATED)
    assert (cli("pkg", "--diff").status, cli("pkg", "--diff", "--unsafe-fixes").status) == (0, 1)


@pytest.mark.parametrize(
    "data",
    [
        TYPO.encode(),
        b"\xef\xbb\xbf" + TYPO.encode(),
        TYPO.replace("\n", "\r\n").encode(),
        TYPO.replace("\n", "\r").encode(),
        TYPO.rstrip("\n").encode(),
        ("# coding: latin-1\n# é\n" + TYPO).encode("latin-1"),
        ("# vim: set fileencoding=koi8-r :\n# Привет\n" + TYPO).encode("koi8-r"),
        ("# -*- coding: utf-8 -*-\n# \U0001d54f\x0c\n" + TYPO).encode(),
        ("# coding: shift_jis\n# 日本\n" + TYPO).encode("shift_jis"),
    ],
    ids=["plain", "bom", "crlf", "cr", "no-end", "latin", "koi8", "utf-8", "shift-jis"],
)
def test_a_fix_keeps_every_other_byte(cli: Cli, write: Write, data: bytes) -> None:
    path = write("a.py", data)
    path.chmod(0o755)
    assert cli("a.py", "--fix").status == 0
    assert path.read_bytes() == data.replace(b"require_grad", b"requires_grad")
    assert path.stat().st_mode & 0o7777 == 0o755


def test_new_lines_of_a_fix_end_as_the_file_does() -> None:
    assert applied(Source("a.py", "a\r\n"), [edit(2, 2, "\nb\n")]) == "a\r\nb\r\n\r\n"


def test_a_link_stays_a_link(cli: Cli, write: Write) -> None:
    path = write("real/a.py", TYPO)
    Path("a.py").symlink_to(path)
    assert cli("a.py", "--fix").status == 0
    assert Path("a.py").is_symlink()
    assert path.read_text(encoding="utf-8") == FIXED_TYPO


def test_standard_input_is_fixed_onto_standard_output() -> None:
    cases = [(TYPO, FIXED_TYPO, "a.py"), (CLEAN, CLEAN, "a.py"), (notebook(TYPO), notebook(FIXED_TYPO), "a.ipynb")]
    cases.append((f"- 1\n  ```py\n  {TYPO}```", f"- 1\n  ```py\n  {FIXED_TYPO}```", "a.md"))
    for text, expected, name in cases:
        command = [sys.executable, "-m", "gradlint", "-", "--fix", "--stdin-filename", name]
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stdout.decode()) == (0, expected)
        assert b"Found 0 problems" in done.stderr


def test_of_two_conflicting_fixes_the_later_waits() -> None:
    first, second = Fix(Safety.SAFE, (edit(1, 4, "x"),)), Fix(Safety.SAFE, (edit(3, 5, "y"), edit(8, 9, "z")))
    apart, same = Fix(Safety.SAFE, (edit(4, 4, "+"),)), Fix(Safety.SAFE, (edit(1, 4, "x"),))
    assert compatible([second, first]) == [first]
    assert compatible([apart, first]) == [first, apart]
    assert compatible([first, same]) == [first]


def test_rounds_go_on_until_nothing_is_left() -> None:
    def lint(document: Document) -> list[Violation]:
        # Two fixes that conflict in the first round.
        return [violation(edit(1, 3, "b"))] * document.shown.text.startswith("aa") + [
            violation(edit(2, 4, "c"))
        ] * document.shown.text.startswith("aaa")

    document, left, count = fix_all(Script(Source("a.py", "aaaa\n")), Safety.SAFE, lint)
    assert (document.shown.text, left, count) == ("ba\n", [], 1) or document.shown.text == "baa\n"


def test_a_fix_that_breaks_the_syntax_is_dropped_and_the_others_are_kept() -> None:
    good, bad = violation(edit(1, 2, "y")), violation(edit(5, 6, "= ="))

    def lint(document: Document) -> list[Violation]:
        return [bad, *([good] if document.shown.text.startswith("x") else [])]

    document, left, count = fix_all(Script(Source("a.py", "x = 1\n")), Safety.SAFE, lint)
    assert (document.shown.text, left, count) == ("y = 1\n", [bad], 1)


def test_a_fix_that_the_encoding_cannot_hold_is_dropped() -> None:
    one = violation(edit(1, 2, "é"))
    document, left, count = fix_all(Script(Source("a.py", "x = 1\n", "ascii")), Safety.SAFE, lambda _: [one])
    assert (document.shown.text, left, count) == ("x = 1\n", [one], 0)


def test_fixes_that_undo_each_other_end() -> None:
    def lint(document: Document) -> list[Violation]:
        return [violation(edit(1, 2, "y" if document.shown.text.startswith("x") else "x"))]

    document, left, count = fix_all(Script(Source("a.py", "x = 1\n")), Safety.SAFE, lint)
    assert (document.shown.text, len(left), count) == ("y = 1\n", 1, 1)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    write: Write, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    path = write("a.py", TYPO)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", interrupt)
    else:
        monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path.absolute(), b"new")
    assert path.read_text(encoding="utf-8") == TYPO
    assert [each.name for each in Path().glob("*") if each.name != ".git"] == ["a.py"]


def test_a_file_that_cannot_be_written_is_said_and_exits_2(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a.py", TYPO)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gradlint.writing.write_atomically", refuse)
    found = cli("a.py", "--fix")
    assert found.status == 2
    assert "a.py: cannot be written: Permission denied; not fixed" in found.err
    assert path.read_text(encoding="utf-8") == TYPO
