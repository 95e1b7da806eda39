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
