"""`[tool.gradlint]`: which table holds for a file, what it says, and what is wrong in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gradlint.config import _READERS
from gradlint.globs import matches
from gradlint.profiles import PROFILES
from gradlint.rules import RULES

from tests.lint.cli.code import LENET, SATURATED, TYPO
from tests.lint.cli.conftest import Cli, Write


def found(cli: Cli, *options: str) -> list[tuple[str, str]]:
    out = cli(*options, "--output-format", "json").out
    return [(each["path"], each["code"]) for each in json.loads(out)]


def configure(write: Write, text: str, folder: str = ".") -> None:
    write(f"{folder}/pyproject.toml", f"[tool.gradlint]\n{text}\n")


def test_the_nearest_table_holds_for_a_file(cli: Cli, write: Write) -> None:
    configure(write, 'select = ["GRD201"]')
    configure(write, 'select = ["GRD703"]', "sub")
    write("sub/deeper/pyproject.toml", "[project]\nname = 'x'\n")
    for name in ("a.py", "sub/a.py", "sub/deeper/a.py"):
        write(name, TYPO)
    assert found(cli) == [("sub/a.py", "GRD703"), ("sub/deeper/a.py", "GRD703")]


def test_the_command_line_replaces_select_and_adds_the_rest(cli: Cli, write: Write) -> None:
    configure(write, 'select = ["GRD703"]\nignore = ["GRD201"]')
    write("a.py", TYPO + SATURATED)
    assert found(cli) == [("a.py", "GRD703")]
    assert found(cli, "--select", "GRD201") == [("a.py", "GRD201")]
    assert found(cli, "--ignore", "GRD703") == []
    configure(write, 'select = ["GRD703"]\nextend-select = ["GRD201"]')
    assert found(cli) == [("a.py", "GRD703"), ("a.py", "GRD201")]


def test_per_file_ignores(cli: Cli, write: Write) -> None:
    configure(
        write, 'select = ["GRD703", "GRD003"]\n[tool.gradlint.per-file-ignores]\n"tests/**" = ["GRD7"]\n"b.py" = "ALL"'
    )
    for name in ("a.py", "b.py", "tests/a.py", "tests/deep/a.py"):
        write(name, TYPO)
    assert found(cli) == [("a.py", "GRD703")]
    assert found(cli, "tests/a.py") == []
    write("b.py", "x = (\n")
    assert found(cli, "b.py") == [("b.py", "GRD001")]


def test_a_file_given_by_config_holds_everywhere(cli: Cli, write: Write) -> None:
    configure(write, 'select = ["GRD201"]', "sub")
    write("sub/a.py", TYPO)
    write("own.toml", 'select = ["GRD703"]\n')
    write("other/pyproject.toml", '[tool.gradlint]\nselect = ["GRD703"]\n')
    assert found(cli) == []
    assert found(cli, "--config", "own.toml") == [("sub/a.py", "GRD703")]
    assert found(cli, "--config", "other/pyproject.toml") == [("sub/a.py", "GRD703")]
    assert cli("--config", "gone.toml").err == "gradlint: --config: there is no file 'gone.toml'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('selct = ["GRD703"]', "unknown key tool.gradlint.selct; did you mean 'select'?"),
        ("zzz = 1", "unknown key tool.gradlint.zzz"),
        ("select = 3", "tool.gradlint.select must be a list of strings, not 3"),
        ('select = ["GRD703", 3]', "tool.gradlint.select must be a list of strings"),
        ('ignore = ["GDR703"]', "tool.gradlint.ignore: no rule is called 'GDR703'; did you mean 'GRD703'?"),
        ('exclude = "tests"', "tool.gradlint.exclude must be a list of strings"),
        ("target-torch = 2.4", 'tool.gradlint.target-torch must be a version such as "2.4", not 2.4'),
        ('target-torch = "new"', "must be a version"),
        (
            'profile = "tutorials"',
            "must be one of library, research, tutorial, not 'tutorials'; did you mean 'tutorial'?",
        ),
        ('per-file-ignores = ["a"]', "must be a table of patterns and code lists"),
        ('per-file-ignores = {"a.py" = ["GRD999"]}', "per-file-ignores.'a.py': no rule is called 'GRD999'"),
        ("rules = {GRD703 = {depth = 3}}", "tool.gradlint.rules.GRD703: unknown key depth; GRD703 has no options"),
        ("rules = {GRD7 = {depth = 3}}", "one rule is needed here, not a prefix"),
        ("rules = {GDR703 = {}}", "did you mean 'GRD703'?"),
        ("select = [", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_key(cli: Cli, write: Write, text: str, said: str) -> None:
    configure(write, text)
    write("a.py", TYPO)
    result = cli("a.py")
    assert (result.status, result.out) == (2, "")
    assert str(Path("pyproject.toml").absolute()) in result.err
    assert said in result.err
    assert result.err.count("\n") == 1


def test_a_table_in_the_wrong_shape_and_a_file_without_one(cli: Cli, write: Write) -> None:
    write("pyproject.toml", "[tool]\ngradlint = 3\n")
    assert "tool.gradlint must be a table" in cli(".").err
    write("pyproject.toml", "this is no TOML, and no business of ours\n")
    assert cli(".").status == 0


def test_a_profile_weakens_levels(cli: Cli, write: Write) -> None:
    write("a.py", SATURATED)
    configure(write, 'select = ["GRD201"]')
    assert json.loads(cli(".", "--output-format", "json").out)[0]["level"] == "warning"
    configure(write, 'profile = "tutorial"')
    assert ("a.py", "GRD201") not in found(cli)
    assert json.loads(cli(".", "--select", "GRD201", "--output-format", "json").out)[0]["level"] == "info"


def test_profiles_name_rules_and_only_weaken() -> None:
    levels = {info.code: info.level.value for info in RULES}
    order = ["error", "warning", "info", "pedantic"]
    for profile in PROFILES.values():
        for code, level in profile.items():
            assert order.index(level.value) >= order.index(levels[code])


def test_settings_are_shown_as_they_hold_for_a_path(cli: Cli, write: Write) -> None:
    configure(
        write,
        'select = ["GRD7"]\ntarget-torch = "2.4.1"\nprofile = "research"\n'
        '[tool.gradlint.per-file-ignores]\n"a.py" = ["GRD703"]',
    )
    write("a.py", LENET)
    out = cli("a.py", ".", "--show-settings").out
    assert "pyproject.toml" in out
    for line in ('target-torch = "2.4"', 'profile = "research"', 'per-file-ignores = {"a.py" = ["GRD703"]}'):
        assert line in out
    of_file, of_folder = (block for block in out.split("\n\n"))
    assert '"GRD703"' not in of_file.split("rules = ")[1].split("\n")[0]
    assert '"GRD703"' in of_folder.split("rules = ")[1].split("\n")[0]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("tests", "tests/a.py", True),
        ("tests/", "src/tests/a.py", True),
        ("tests", "mytests/a.py", False),
        ("*.py", "src/a.py", True),
        ("./src/*.py", "src/a.py", True),
        ("src/*.py", "src/b/a.py", False),
        ("src/*", "src/b/a.py", True),
        ("**/gen/*.py", "a/b/gen/c.py", True),
        ("**/gen/*.py", "gen/c.py", True),
        ("src/**", "src/a/b.py", True),
        ("a?.py", "ab.py", True),
        ("[!a-c].py", "d.py", True),
        ("[!a-c].py", "b.py", False),
        ("a.py", "axpy", False),
        ("(x", "(x", True),
    ],
)
def test_patterns(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def test_the_page_names_every_key_and_what_each_profile_weakens() -> None:
    page = (Path(__file__).parents[3] / "docs/gradlint.md").read_text(encoding="utf-8")
    for key in _READERS:
        assert key in page
    for name, weakened in PROFILES.items():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.rstrip(" |").rsplit("| ", 1)[1] == (", ".join(sorted(weakened)) or "nothing")
