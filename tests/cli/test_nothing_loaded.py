"""The command line loads torch for a check, matplotlib for a page, and neither to say what it can do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_gradcheck.render import document
from tests.render.samples import session

PROBE = """
import sys
from pytest_gradcheck.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("loaded", sorted({"torch", "matplotlib", "jinja2", "pytest"} & set(sys.modules)))
"""

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from pytest_gradcheck.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def loaded(folder: Path, *words: str) -> str:
    command = [sys.executable, "-c", PROBE, *words]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["render", "none.json"], ["check", "no.such:A"]])
def test_nothing_for_help_and_errors(tmp_path: Path, words: list[str]) -> None:
    assert loaded(tmp_path, *words) == "loaded []"


def test_a_page_is_made_without_torch(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    document.write(tmp_path / "report.json", session())
    assert loaded(tmp_path, "render", "report.json") == "loaded ['jinja2', 'matplotlib']"


@pytest.mark.parametrize(
    ("source", "words", "said"),
    [
        ("import torch\n", ["check", "layers:A"], "error: layers needs torch, which is not installed: pip install"),
        ("def f(x): pass\n", ["check", "layers:f"], "error: a gradient check needs torch, which is not installed: pip"),
        ("def f(x): pass\n", ["train", "layers:f"], "error: a smoke run needs torch, which is not installed: pip"),
    ],
)
def test_without_torch_one_sentence_says_what_to_install(
    tmp_path: Path, source: str, words: list[str], said: str
) -> None:
    (tmp_path / "layers.py").write_text(source)
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and found.stderr.startswith(said) and found.stderr.count("\n") == 1
