"""From paths to files: what is found, what is passed over, what is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lint.cli.code import TYPO
from tests.lint.cli.conftest import Cli, Write


def files(cli: Cli, *arguments: str) -> list[str]:
    found = cli("--show-files", *arguments)
    assert found.status == 0
    return found.out.split()


def test_folders_are_searched_in_one_order_and_each_file_is_found_once(cli: Cli, write: Write) -> None:
    for name in ("b.py", "a/x.py", "a/b/y.py", "a.py", "a/data.txt", "stub.pyi"):
        write(name)
    expected = ["a/b/y.py", "a/x.py", "a.py", "b.py"]
    assert files(cli) == expected
    assert files(cli, "b.py", "a", ".", "./a/../a.py", str(Path("b.py").absolute())) == expected


def test_all_kinds_of_files_with_python_are_found(cli: Cli, write: Write) -> None:
    for name in ("a.py", "b.ipynb", "c.md", "d.markdown", "e.rst", "f.PY", ".ipynb_checkpoints/b-checkpoint.ipynb"):
        write(name)
    assert files(cli) == ["a.py", "b.ipynb", "c.md"]
    assert files(cli, "c.md", "b.ipynb") == ["b.ipynb", "c.md"]


def test_hidden_folders_environments_and_build_folders_are_passed_over(cli: Cli, write: Write) -> None:
    hidden = (".tox", "build", "dist", "__pycache__", "node_modules", "site-packages", "x.egg-info", "venv")
    for folder in (*hidden, "my_env", "src/build"):
        write(f"{folder}/a.py")
    write("my_env/pyvenv.cfg")
    write("ok/a.py")
    assert files(cli) == ["ok/a.py"]
    assert files(cli, ".tox", "build", "my_env") == [".tox/a.py", "build/a.py", "my_env/a.py"]


def test_links_to_folders_are_not_followed_and_links_to_nothing_are_no_files(cli: Cli, write: Write) -> None:
    write("a/x.py")
    Path("a/loop").symlink_to(Path("a").absolute())
    Path("a/self.py").symlink_to("self.py")
    Path("a/gone.py").symlink_to("nowhere.py")
    Path("a/y.py").symlink_to("x.py")
    assert files(cli) == ["a/x.py", "a/y.py"]
    assert files(cli, "a/loop") == ["a/loop/x.py", "a/loop/y.py"]
    for name in ("a/gone.py", "a/self.py"):
        assert cli(name).status == 2


def test_a_pipe_is_no_file(cli: Cli, write: Write) -> None:
    os.mkfifo("pipe.py")
    assert files(cli) == []
    assert cli("pipe.py").err == "gradlint: pipe.py: not a regular file\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.py", "gone.py: no such file or folder"),
        ("a.py/b", "a.py/b: no such file or folder"),
        ("notes.txt", "notes.txt: not a .py, .ipynb or .md file"),
        ("./rules", "./rules: no such file or folder"),
        ("bad\0name", "null"),
    ],
)
def test_a_wrong_path_is_wrong_use(cli: Cli, write: Write, name: str, said: str) -> None:
    write("a.py")
    write("notes.txt")
    found = cli(name, "a.py")
    assert (found.status, found.out) == (2, "")
    assert said in found.err


def test_a_folder_called_rules_is_dot_rules(cli: Cli, write: Write) -> None:
    write("rules/a.py", TYPO)
    assert "rules/a.py:4:3" in cli("./rules").out
    assert "GRD703  require-grad-typo" in cli("rules").out


def test_no_path_means_here_and_nothing_to_lint_is_said(cli: Cli, write: Write) -> None:
    found = cli()
    assert (found.status, found.err) == (0, "gradlint: no Python files found\n")
    write("a.py", TYPO)
    assert cli().status == 1


def test_standard_input(cli: Cli) -> None:
    found = cli("-", "--output-format", "concise", stdin=TYPO.encode())
    assert found.status == 1
    assert found.out.startswith("-:4:3: GRD703")
    named = cli("-", "--stdin-filename", "pkg/m.py", "--output-format", "concise", stdin=TYPO.encode())
    assert named.out.startswith("pkg/m.py:4:3: GRD703")


def test_folders_and_files_that_cannot_be_read_are_violations_and_the_run_goes_on(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed/a.py", "open/a.py", "open/secret.py"):
        write(name, TYPO)
    scandir, read_bytes = os.scandir, Path.read_bytes

    def no_listing(folder: str | Path) -> object:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    def no_reading(path: Path) -> bytes:
        if path.name == "secret.py":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr("gradlint.discovery.os.scandir", no_listing)
    monkeypatch.setattr(Path, "read_bytes", no_reading)
    found = cli(".", "--output-format", "concise")
    assert found.status == 1
    assert [line.split(" ", 2)[:2] for line in found.out.splitlines()[:3]] == [
        ["closed:1:1:", "GRD001"],
        ["open/a.py:4:3:", "GRD703"],
        ["open/secret.py:1:1:", "GRD001"],
    ]
    assert "cannot be listed: Permission denied" in found.out


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a system where any bytes are a name")
def test_a_name_that_is_no_text(cli: Cli) -> None:
    Path(os.fsdecode(b"caf\xe9.py")).write_text(TYPO, encoding="utf-8")
    for output_format in ("full", "concise", "json", "github"):
        assert cli(".", "--output-format", output_format).status == 1


def test_exclude_is_for_folders_and_not_for_names_unless_forced(cli: Cli, write: Write) -> None:
    write("pyproject.toml", '[tool.gradlint]\nexclude = ["legacy", "*_pb2.py", "src/gen/**/x.py"]\n')
    for name in ("legacy/a.py", "src/legacy/a.py", "src/m_pb2.py", "src/gen/a/x.py", "src/gen/x.py", "src/x.py"):
        write(name)
    assert files(cli) == ["src/x.py"]
    assert files(cli, "src/m_pb2.py") == ["src/m_pb2.py"]
    assert files(cli, "src/m_pb2.py", "legacy/a.py", "src/x.py", "--force-exclude") == ["src/x.py"]
