"""Only problems on lines that have changed since a revision, as git sees them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lint.cli.code import TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
AGAIN = "w.require_grad = True\n"


def git(*arguments: str, folder: str = ".") -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True, cwd=folder)


def commit(message: str = "a") -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", message)


@pytest.fixture(autouse=True)
def _repository(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    Path(".git").rmdir()
    git("init", "--quiet", "--initial-branch", "main")
    write("old.py", TYPO)
    write("sub dir/old.py", TYPO)
    commit()


def shown(cli: Cli, revision: str, *arguments: str) -> list[str]:
    found = cli(*(arguments or (".",)), "--output-format", "json", "--diff-base", revision)
    assert found.status in (0, 1), found.err
    elements = json.loads(found.out)
    assert found.status == bool(elements)
    return [f"{each['path']}:{each['line']}" for each in elements]


def test_unchanged_lines_are_silent_and_changed_ones_are_not(cli: Cli, write: Write) -> None:
    assert shown(cli, "HEAD") == []
    write("sub dir/old.py", "# one\n" + TYPO + "# more\n" + AGAIN)
    assert shown(cli, "HEAD") == ["sub dir/old.py:7"], "what only moved has not changed"
    commit()
    assert shown(cli, "HEAD") == []
    assert shown(cli, "HEAD~1") == ["sub dir/old.py:7"]
    write("old.py", TYPO.replace("True", "False"))
    assert shown(cli, "HEAD") == ["old.py:4"]


def test_untracked_staged_and_ignored_files_count_as_changed(cli: Cli, write: Write) -> None:
    write(".gitignore", "ignored.py\n")
    commit()
    for name in ("untracked.py", "staged.py", "ignored.py"):
        write(name, TYPO)
    git("add", "staged.py")
    assert shown(cli, "HEAD") == ["ignored.py:4", "staged.py:4", "untracked.py:4"]


def test_from_a_folder_below_and_for_files_elsewhere(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("sub dir/old.py", TYPO + AGAIN)
    elsewhere = write(str(tmp_path / "elsewhere.py"), TYPO)
    monkeypatch.chdir("sub dir")
    assert shown(cli, "HEAD") == ["old.py:5"]
    assert shown(cli, "HEAD", str(elsewhere)) == ["../../elsewhere.py:4"]


def test_a_fork_is_compared_with_where_it_forked(cli: Cli, write: Write) -> None:
    git("checkout", "--quiet", "-b", "topic")
    write("new.py", TYPO)
    commit()
    git("checkout", "--quiet", "main")
    write("old.py", TYPO.replace("True", "False"))
    commit()
    git("checkout", "--quiet", "topic")
    assert shown(cli, "main") == ["new.py:4"], "what main changed since is not what the topic changed"


@pytest.mark.parametrize("name", ["a b.py", "é.py", 'q"uote.py', "tab\t.py", "-x.py", "b/a.py"])
def test_names_that_git_quotes(cli: Cli, write: Write, name: str) -> None:
    write(name, TYPO)
    commit()
    assert shown(cli, "HEAD") == []
    write(name, TYPO + AGAIN)
    assert [place.rpartition(":")[2] for place in shown(cli, "HEAD")] == ["5"]


def test_lines_that_look_like_a_diff(cli: Cli, write: Write) -> None:
    write("a.py", 'import torch\ns = """\n-- a/old.py\n"""\nw = torch.zeros(3)\n')
    commit()
    write("a.py", 'import torch\ns = """\n++ b/old.py\n@@ -1 +1,9 @@\n"""\nw = torch.zeros(3)\n' + AGAIN)
    assert shown(cli, "HEAD") == ["a.py:7"]


def test_settings_of_git_do_not_matter(cli: Cli, write: Write) -> None:
    for name, value in (("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("color.ui", "always")):
        git("config", name, value)
    git("config", "diff.external", "false")
    write(".gitattributes", "*.py binary\n")
    write("old.py", TYPO + AGAIN)
    assert shown(cli, "HEAD") == ["old.py:5"]


def test_cells_of_notebooks(cli: Cli, write: Write) -> None:
    write("n.ipynb", notebook(TYPO, "x = 1"))
    commit()
    assert shown(cli, "HEAD") == []
    write("n.ipynb", notebook("y = 2", TYPO, "x = 1\nw.require_grad = 2\n"))
    assert shown(cli, "HEAD") == ["n.ipynb:2"]


def test_an_unknown_revision_is_wrong_use(cli: Cli) -> None:
    for revision in ("gone", "--all", "", "HEAD~9"):
        found = cli(".", f"--diff-base={revision}")
        assert (found.status, found.out) == (2, "")
        assert found.err == f"gradlint: --diff-base: git knows no commit {revision!r}\n"


def test_a_shallow_clone_is_said(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("old.py", "x = 1\n")
    commit()
    git("clone", "--quiet", "--depth", "1", f"file://{Path.cwd()}", "../clone")
    monkeypatch.chdir("../clone")
    found = cli(".", "--diff-base", "HEAD~1")
    assert found.status == 2
    assert found.err == (
        "gradlint: --diff-base: git knows no commit 'HEAD~1' in this shallow clone; "
        "`git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout, brings the rest\n"
    )


def test_no_repository_is_wrong_use(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    found = cli(".", "--diff-base", "HEAD")
    assert found.status == 2
    assert found.err.startswith("gradlint: --diff-base: git rev-parse: fatal: not a git repository")


def test_a_missing_git_is_wrong_use(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = cli(".", "--diff-base", "HEAD")
    assert found.status == 2
    assert found.err == "gradlint: --diff-base needs git, which cannot be run: No such file or directory\n"
