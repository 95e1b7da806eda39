"""Results depend neither on the cache, nor on processes, nor on the order or choice of files."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from gradlint.cache import gradlint_digest
from gradlint.project_files import _facts
from gradlint.semantics.file_facts import FileFacts

from tests.lint.cli.code import BROKEN, CLEAN, SATURATED, TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook

BASE = "import torch.nn as nn\n\n\nclass Base(nn.Module):\n    pass\n"
# GRD703 on an instance has no fix where the class is known to be a module.
USER = """\
import torch
from {package} import Base


class Net(Base):
    pass


net = Net()
net.require_grad = False
"""


def report(cli: Cli, *options: str) -> str:
    found = cli(".", "--output-format", "json", *options)
    assert found.err == ""
    return found.out


def fixes(cli: Cli, *options: str) -> list[bool]:
    return [each["fix"] is not None for each in json.loads(report(cli, "--select", "GRD703", *options))]


def cache_files() -> list[Path]:
    return list(Path(os.environ["GRADLINT_CACHE_DIR"]).glob("*"))


def some_project(write: Write, count: int = 60) -> None:
    contents = [TYPO, CLEAN, SATURATED, BROKEN, "x = 1\n", "x = (\n"]
    write("pkg/__init__.py", "from .base import Base\n")
    write("pkg/base.py", BASE)
    for number in range(count):
        write(f"pkg/m{number}.py", contents[number % len(contents)])
        write(f"pkg/user{number}.py", USER.format(package="pkg" if number % 2 else "pkg.base"))
    for number in range(min(4, count)):
        user = USER.format(package="base" if number % 2 else "pkg.base")
        write(f"pkg/n{number}.ipynb", notebook("%time\n", CLEAN, *TYPO.splitlines()[:number], user))
        run = f"```{{.python .input}}\nx = 1{')' * (number % 2)}\n```\n"
        write(f"pkg/r{number}.md", f"# A\n\n  ```python\n{TYPO}{user}  ```\n{run}")


def test_cold_warm_one_and_several_processes_and_any_order_agree(cli: Cli, write: Write) -> None:
    some_project(write)
    cold = report(cli, "--no-cache", "--jobs", "1")
    assert len(json.loads(cold)) > 60
    assert not cache_files()
    assert report(cli, "--no-cache", "--jobs", "3") == cold
    assert report(cli, "--jobs", "2") == cold
    assert len(cache_files()) == 1
    assert report(cli, "--jobs", "1") == cold
    names = [str(path) for path in Path("pkg").iterdir()]
    random.Random(0).shuffle(names)
    assert cli(*names, "--output-format", "json").out == cold
    assert cli(*names, "--output-format", "json", "--no-cache").out == cold


def test_the_cache_ends_with_any_file_that_makes_results() -> None:
    said = gradlint_digest()
    assert all(
        f"'{name}'" in said for name in ("notebook.py", "engine.py", "grd703_require_grad_typo.py", "layer_chain.py")
    )


def test_a_file_alone_gives_what_it_gives_in_its_project(cli: Cli, write: Write) -> None:
    some_project(write, 2)
    alone = json.loads(cli("pkg/user1.py", "--output-format", "json", "--no-cache").out)
    assert alone == [each for each in json.loads(report(cli)) if each["path"] == "pkg/user1.py"]


@pytest.mark.parametrize(
    ("base", "package"),
    [("base.py", "base"), ("src/lib/base.py", "lib.base"), ("nets/base.py", "nets.base")],
)
def test_bases_in_other_files_resolve(cli: Cli, write: Write, base: str, package: str) -> None:
    write(base, BASE)
    write("user.py", USER.format(package=package))
    assert fixes(cli) == [False]


def test_relative_imports_and_re_exports_resolve(cli: Cli, write: Write) -> None:
    some_project(write, 0)
    write("pkg/sub/__init__.py")
    write("pkg/sub/user.py", USER.format(package=".."))
    write("pkg/sub/other.py", USER.format(package="..base"))
    assert fixes(cli) == [False, False]


def test_a_change_in_another_file_counts_also_with_a_cache(cli: Cli, write: Write) -> None:
    some_project(write, 0)
    write("user.py", USER.format(package="pkg"))
    first = fixes(cli, "--no-cache")
    assert first == fixes(cli) == fixes(cli) == [False]
    write("pkg/base.py", BASE.replace("nn.Module", "object"))
    changed = fixes(cli, "--no-cache")
    assert fixes(cli) == changed
    write("pkg/base.py", BASE)
    assert fixes(cli) == first
    Path("pkg/base.py").unlink()
    gone = fixes(cli, "--no-cache")
    assert fixes(cli) == gone
    write("pkg/base/__init__.py", BASE)
    assert fixes(cli) == first


def test_a_module_that_appears_later_counts(cli: Cli, write: Write) -> None:
    write("user.py", USER.format(package="later.base"))
    before = fixes(cli)
    write("later/base.py", BASE)
    assert fixes(cli) == fixes(cli, "--no-cache") == [False]
    assert before == [True], "an unknown base may be a tensor's"


def test_what_was_told_from_a_files_outline_is_told_anew_when_that_changes(cli: Cli, write: Write) -> None:
    """Of `tools` only its outline is asked: a function there, then torch's own under the same name."""
    write("tools.py", "def log(x):\n    return x\n")
    write("user.py", "import torch\nfrom tools import log\ny = log(torch.softmax(x, -1))\n")
    asked = ("--select", "GRD501", "user.py", "--output-format", "json")
    assert cli(*asked).out == cli(*asked).out == "[]\n"
    write("tools.py", "from torch import log\n")
    assert [each["line"] for each in json.loads(cli(*asked).out)] == [3]
    write("tools.py", "def log(x):\n    return 2 * x\n")
    assert cli(*asked).out == "[]\n"


def test_a_file_whose_outline_tells_all_is_not_parsed(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def facts(data: bytes, path: str, module: str, *, is_package: bool) -> FileFacts:
        read.append(module)
        return _facts(data, path, module, is_package=is_package)

    monkeypatch.setattr("gradlint.project_files._facts", facts)
    write("tools.py", "def log(x):\n    return x\n")
    write("nets.py", "from torch import nn\nclass Base(nn.Module): pass\n")
    write(
        "user.py",
        "import torch\nfrom nets import Base\nfrom tools import log\nclass Net(Base):\n    x = log(torch.e)\n",
    )
    for options in ((), ("--no-cache",)):
        read.clear()
        assert cli("user.py", *options).err == ""
        assert read == ["nets"]


def test_options_and_settings_are_part_of_the_key(cli: Cli, write: Write) -> None:
    write("a.py", TYPO)
    assert len(json.loads(report(cli))) == 1
    assert report(cli, "--select", "GRD201") == "[]\n"
    write("pyproject.toml", '[tool.gradlint.per-file-ignores]\n"a.py" = ["GRD703"]\n')
    assert report(cli) == "[]\n"
    Path("pyproject.toml").unlink()
    assert len(json.loads(report(cli))) == 1


def test_a_cached_fix_is_applied(cli: Cli, write: Write) -> None:
    path = write("a.py", TYPO)
    report(cli)
    assert cli("a.py", "--fix").status == 0
    assert "requires_grad" in path.read_text(encoding="utf-8")
    assert report(cli) == "[]\n"


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "folder", "json"])
def test_a_damaged_cache_is_none(cli: Cli, write: Write, damage: str) -> None:
    write("a.py", TYPO)
    expected = report(cli)
    (path,) = cache_files()
    data = path.read_bytes()
    broken = {
        "cut": data[:-20],
        "flip": data.replace(b"require_grad", b"require_grab"),
        "empty": b"",
        "other": b"\xff\x00 nothing",
        "json": data.splitlines(keepends=True)[0] + b"[" * 100_000,
    }
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(broken[damage])
    assert report(cli) == expected
    assert report(cli) == expected


def test_a_cache_that_cannot_be_written_is_none(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", TYPO)
    write("file", "not a folder")
    monkeypatch.setenv("GRADLINT_CACHE_DIR", str(Path("file/cache").absolute()))
    assert json.loads(report(cli))[0]["code"] == "GRD703"


def test_another_gradlint_does_not_use_it(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a.py", TYPO)
    expected = report(cli)
    (path,) = cache_files()
    before = path.read_bytes()
    monkeypatch.setattr("gradlint.cache.gradlint_digest", lambda: "another")
    assert report(cli) == expected
    assert path.read_bytes() != before


def test_the_cache_lives_in_the_users_folder_and_not_in_the_project(
    cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GRADLINT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    write("a.py", TYPO)
    report(cli)
    assert sorted(path.name for path in Path().iterdir()) == [".git", "a.py"]
    if sys.platform == "linux":
        assert list((tmp_path / "xdg/gradlint").iterdir())


def test_several_processes_on_one_cache(write: Write) -> None:
    some_project(write, 12)
    command = [sys.executable, "-m", "gradlint", ".", "--output-format", "json"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in running]
    assert {process.returncode for process in running} == {1}
    assert {err for _, err in outputs} == {b""}
    assert len({out for out, _ in outputs}) == 1
    assert [path.suffix for path in cache_files()] == [".json"], "no file is left beside it"


def test_the_pool_works_where_processes_are_spawned(write: Write) -> None:
    some_project(write, 30)
    code = (
        "import sys, gradlint.pool, multiprocessing\n"
        "from gradlint.cli import main\n"
        "gradlint.pool._context = lambda: multiprocessing.get_context('spawn')\n"
        "if __name__ == '__main__': sys.exit(main(sys.argv[1:]))\n"
    )
    write("tool.txt", code)
    arguments = [".", "--no-cache", "--jobs", "2", "--output-format", "json"]
    spawned = subprocess.run([sys.executable, "tool.txt", *arguments], capture_output=True, check=False)
    direct = subprocess.run([sys.executable, "-m", "gradlint", *arguments], capture_output=True, check=False)
    assert (spawned.returncode, spawned.stderr) == (1, b"")
    assert spawned.stdout == direct.stdout


UNSET = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return self.fc(x) / self.temp
"""


def test_a_name_that_another_file_gives_is_asked_for_again_in_each_run(cli: Cli, write: Write) -> None:
    """GRD708 is silent about what the project sets from outside; the file that does so is no import of the class's."""
    write("pyproject.toml", "[tool.gradlint]\n")
    write("pkg/net.py", UNSET)
    asked = ("--select", "GRD708", "pkg/net.py", "--output-format", "json")
    assert [each["line"] for each in json.loads(cli(*asked).out)] == [10]
    other = write("tools/run.py", "from pkg.net import Net\nnet = Net()\nnet.temp = 2.0\n")
    assert cli(*asked).out == "[]\n"
    other.write_text("from pkg.net import Net\nnet = Net()\nprint(net.temp)\n")
    assert [each["line"] for each in json.loads(cli(*asked).out)] == [10]
