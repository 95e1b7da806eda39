"""What an environment without torch has: a plugin that loads, one clear sentence for a check, and a typed wheel.

CI runs this file against the built wheel in an environment of its own; with torch installed most of it is skipped.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
bare = pytest.mark.skipif(HAS_TORCH, reason="torch is installed: this is about environments without it")


def _pytest(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return found.stdout + found.stderr


@bare
def test_ordinary_tests_run(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_a():\n    pass\n")
    assert "1 passed" in _pytest(tmp_path)
    assert "1 passed" in _pytest(tmp_path, "--gradcheck")


@bare
@pytest.mark.parametrize(
    "body",
    [
        "def test_a(gradcheck):\n    gradcheck(abs, 1.0)\n",
        "import pytest\n@pytest.mark.gradcheck((3,))\ndef test_a():\n    return abs\n",
        "def test_a(smoke_train):\n    pass\n",
        "from pytest_gradcheck import check_gradients\ndef test_a():\n    pass\n",
    ],
)
def test_a_check_says_what_to_install(tmp_path: Path, body: str) -> None:
    (tmp_path / "test_a.py").write_text(body)
    output = _pytest(tmp_path, "--gradcheck")
    assert "needs torch, which is not installed: pip install 'pytest-gradcheck[torch]'" in output
    assert "INTERNALERROR" not in output


@bare
def test_installed_files() -> None:
    files = [str(file) for file in importlib.metadata.files("pytest-gradcheck") or ()]
    tops = {file.split("/")[0] for file in files if not file.startswith("..")}
    assert "pytest_gradcheck/py.typed" in files
    assert "gradlint/py.typed" in files
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pytest_gradcheck", "gradlint"}


def test_metadata_leaves_torch_to_an_extra() -> None:
    requires = importlib.metadata.requires("pytest-gradcheck") or []
    assert {line.partition(" ")[2] for line in requires if line.startswith("torch")} >= {"extra == 'torch'"}
    assert all("extra ==" in line for line in requires if line.startswith(("torch", "numpy")))
    assert not any("://" in line for line in requires)
    points = importlib.metadata.entry_points(group="pytest11", name="gradcheck")
    assert [point.value for point in points] == ["pytest_gradcheck.plugin"]
