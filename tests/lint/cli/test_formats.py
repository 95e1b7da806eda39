"""What each output format prints, to the letter where the contract has it."""

from __future__ import annotations

import io
import json
import re

import pytest
from gradlint.output.terminal import plain, wants_colour, width

from tests.lint.cli.code import BROKEN, CLEAN, SATURATED, TYPO
from tests.lint.cli.conftest import Cli, Write

MESSAGE = "`require_grad` is a new attribute without effect; the name is `requires_grad`"


def test_concise_is_a_line_a_violation_and_the_totals(cli: Cli, write: Write) -> None:
    write("b.py", TYPO)
    write("a.py", BROKEN)
    found = cli(".", "--output-format", "concise")
    first, second, last = found.out.splitlines()
    assert re.match(r"a\.py:\d:\d: GRD001 cannot be parsed: ", first)
    assert second == f"b.py:4:3: GRD703 [*] {MESSAGE}"
    assert last == "Found 2 problems (1 fixable)."
    assert found.status == 1


def test_the_star_is_for_what_the_same_options_would_fix(cli: Cli, write: Write) -> None:
    write("a.py", SATURATED)
    arguments = ("a.py", "--output-format", "concise", "--select", "GRD201")
    safe, unsafe = cli(*arguments), cli(*arguments, "--unsafe-fixes")
    assert "GRD201 16" in safe.out
    assert "(0 fixable)" in safe.out
    assert "GRD201 [*] 16" in unsafe.out
    assert "(1 fixable)" in unsafe.out


def test_nothing_found_is_said(cli: Cli, write: Write) -> None:
    write("a.py", CLEAN)
    assert cli("a.py", "--output-format", "concise").out == "Found 0 problems (0 fixable).\n"
    assert cli("a.py", "--output-format", "json").out == "[]\n"
    assert cli("a.py", "--output-format", "github").out == ""
    assert cli("a.py").status == 0


def test_json_is_the_contract(cli: Cli, write: Write) -> None:
    write("pkg/b.py", TYPO)
    (element,) = json.loads(cli("pkg", "--output-format", "json").out)
    place = {"line": 4, "column": 3, "end_line": 4, "end_column": 15}
    fingerprint = element.pop("fingerprint")
    assert re.fullmatch("[0-9a-f]{16}", fingerprint)
    assert element == {
        "code": "GRD703",
        "name": "require-grad-typo",
        "level": "error",
        "message": MESSAGE,
        "path": "pkg/b.py",
        **place,
        "fix": {"safety": "safe", "edits": [{**place, "content": "requires_grad"}]},
        "related": [],
    }


def test_json_is_ordered_by_path_line_column_code(cli: Cli, write: Write) -> None:
    for name in ("b.py", "a/z.py", "a.py", "a-b.py"):
        write(name, TYPO + "w.require_grad = w.require_grad = False\n")
    found = json.loads(cli("b.py", ".", "--output-format", "json").out)
    keys = [(each["path"], each["line"], each["column"], each["code"]) for each in found]
    assert keys == sorted(keys)
    assert len(keys) == 12


def test_the_fingerprint_does_not_depend_on_the_working_directory(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("pkg/b.py", TYPO)
    (outside,) = json.loads(cli("pkg", "--output-format", "json").out)
    monkeypatch.chdir("pkg")
    (inside,) = json.loads(cli("--output-format", "json").out)
    assert inside["path"] == "b.py"
    assert inside["fingerprint"] == outside["fingerprint"]


def test_full_shows_the_lines_the_marker_and_the_fix(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    assert cli("a.py").out == (
        f"a.py:4:3: GRD703 require-grad-typo [*]: {MESSAGE}\n"
        "4 | w.require_grad = True\n"
        "  |   ^^^^^^^^^^^^\n"
        "  = safe fix (--fix):\n"
        "  | - w.require_grad = True\n"
        "  | + w.requires_grad = True\n"
        "\n"
        "Found 1 problems (1 fixable).\n"
    )


def test_full_shows_the_related_place_and_names_the_option_for_unsafe_fixes(cli: Cli, write: Write) -> None:
    write("a.py", "from torch.nn import init\n\n\ndef fill(m):\n\tinit.zeros_(n.bias)\n" + SATURATED)
    out = cli("a.py", "--select", "GRD701,GRD201").out
    assert "  = a.py:4:10: the parameter that stands for the module\n4 | def fill(m):\n  |          ^\n" in out
    assert "5 |     init.zeros_(n.bias)\n  |                 ^\n" in out, "a tab is shown as four blanks"
    assert "1 more can be fixed with --unsafe-fixes." in out
    assert "unsafe fix (--fix --unsafe-fixes):" in out


def test_the_marker_stands_below_wide_and_combining_signs(cli: Cli, write: Write) -> None:
    write("a.py", 'import torch\nw = torch.zeros(1); s = "日e\u0301"; w.require_grad = True\n')
    line, marker = cli("a.py").out.splitlines()[1:3]
    assert width(line.split("require_grad")[0]) == marker.index("^")
    assert marker.count("^") == len("require_grad")


def test_control_characters_of_the_file_do_not_reach_the_terminal(cli: Cli, write: Write) -> None:
    evil = 'import torch\nw = torch.zeros(1); s = "\x1b[31m\x07\u202e"; w.require_grad = True  # \x9b\x08\n'
    write("a\x1b[2J.py", evil)
    for output_format in ("full", "concise", "github"):
        for option in ((), ("--diff",)):
            out = cli(".", "--output-format", output_format, *option)
            if not option:
                assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out.out + out.err)


def test_plain_makes_one_harmless_line() -> None:
    assert plain("a\tb\x1b\n\x00é\u2028") == "a    b\\x1b\\n\\x00é\\u2028"


def test_colour_only_on_a_terminal_and_not_against_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "0")
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_colour(Terminal())


def test_github_escapes_what_its_commands_mean(cli: Cli, write: Write) -> None:
    write("a,b:c%.py", TYPO)
    out = cli(".", "--output-format", "github").out
    assert out.startswith(
        "::error title=GRD703 require-grad-typo,file=a%2Cb%3Ac%25.py,line=4,col=3,endLine=4,endColumn=15::"
    )


def test_statistics_count_by_rule_and_keep_json_one_array(cli: Cli, write: Write) -> None:
    write("a.py", TYPO + "w.require_grad = False\n")
    write("b.py", BROKEN)
    found = cli(".", "--statistics", "--output-format", "concise")
    assert found.out.endswith("\n\n2  GRD703 [*] require-grad-typo\n1  GRD001 [ ] unreadable-file\n")
    as_json = cli(".", "--statistics", "--output-format", "json")
    assert len(json.loads(as_json.out)) == 3
    assert "2  GRD703" in as_json.err


def test_an_output_file_gets_the_report_without_colour(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    found = cli("a.py", "--output-format", "json", "--output-file", "report.json")
    assert found.out == ""
    assert found.status == 1
    with open("report.json", encoding="utf-8") as file:  # noqa: PTH123 - relative to the test's own folder
        assert json.load(file)[0]["code"] == "GRD703"
    assert cli("a.py", "--output-file", "no/such/folder").status == 2
