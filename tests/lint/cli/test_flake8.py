"""gradlint as a plugin of flake8."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.lint.cli.code import BROKEN, CLEAN, LENET, TYPO
from tests.lint.cli.conftest import Write

main = pytest.importorskip("flake8.main.cli").main
SAID = "4:3: GRD703 `require_grad` is a new attribute without effect; the name is `requires_grad`\n"


Flake8 = Callable[..., str]


@pytest.fixture
def flake8(capsys: pytest.CaptureFixture[str]) -> Flake8:
    if not entry_points(group="flake8.extension", name="GRD"):
        text = "[flake8:local-plugins]\nextension = GRD = gradlint.flake8_plugin:Plugin\n"
        Path(".flake8").write_text(text, encoding="utf-8")

    def run(*arguments: str, stdin: str | None = None) -> str:
        if stdin is not None:  # what flake8 has read once it reads no more
            command = [sys.executable, "-m", "flake8", *arguments]
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
            assert done.stderr == ""
            return done.stdout
        capsys.readouterr()
        main(["-j1", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return run


def test_the_package_registers_the_plugin() -> None:
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points."flake8.extension"]\nGRD = "gradlint.flake8_plugin:Plugin"\n' in text


def test_it_reports_where_it_is_selected(write: Write, flake8: Flake8) -> None:
    write("a.py", TYPO)
    write("b.py", CLEAN)
    assert flake8("--select", "GRD", "a.py", "b.py") == f"a.py:{SAID}"
    assert flake8("--select", "GRD7", "a.py") == f"a.py:{SAID}"
    assert flake8("--extend-select", "GRD", "a.py") == f"a.py:{SAID}"
    assert flake8("--select", "GRD1", "a.py") == ""
    assert flake8("--select", "GRD", "--extend-ignore", "GRD703", "a.py") == ""


def test_it_is_silent_where_nobody_asked(write: Write, flake8: Flake8) -> None:
    write("a.py", TYPO)
    assert flake8("a.py") == ""
    assert flake8("--select", "E,W", "a.py") == ""


def test_rules_below_warning_run_by_their_code(write: Write, flake8: Flake8) -> None:
    write("a.py", LENET)
    assert "GRD201" not in flake8("--select", "GRD", "a.py")
    assert "GRD201" in flake8("--select", "GRD201", "a.py")


def test_suppressions_and_the_configuration_count(write: Write, flake8: Flake8) -> None:
    write("pyproject.toml", '[tool.gradlint.per-file-ignores]\n"old.py" = ["GRD703"]\n')
    write("old.py", TYPO)
    write("new.py", TYPO)
    write("said.py", TYPO.replace("True", "True  # gradlint: ignore[GRD703]"))
    write("noqa.py", TYPO.replace("True", "True  # noqa: GRD703"))
    assert flake8("--select", "GRD", ".") == f"./new.py:{SAID}"


def test_standard_input_and_encodings(write: Write, flake8: Flake8) -> None:
    assert flake8("--select", "GRD", "-", stdin=TYPO) == f"stdin:{SAID}"
    assert flake8("--select", "GRD", "--stdin-display-name", "x/a.py", "-", stdin=TYPO) == f"x/a.py:{SAID}"
    write("a.py", ("# coding: latin-1\nw = 'é'\n" + TYPO).encode("latin-1"))
    assert "a.py:6:3: GRD703" in flake8("--select", "GRD", "a.py")


def test_a_broken_file_is_flake8s_own_error(write: Write, flake8: Flake8) -> None:
    write("a.py", BROKEN)
    assert "E999" in flake8("--select", "GRD,E9", "a.py")
