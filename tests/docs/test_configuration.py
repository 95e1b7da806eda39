"""The configuration that docs/gradlint.md shows is what gradlint, its hooks and its action read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from gradlint import __version__
from gradlint.arguments import lint_parser, parsed
from gradlint.config import _READERS, Configs, _table_in
from gradlint.output import FORMATS
from gradlint.profiles import PROFILES

from tests.docs.fences import fences
from tests.docs.snippets import ROOT, run

PAGE = (ROOT / "docs" / "gradlint.md").read_text(encoding="utf-8")
ACTION = ".github/actions/gradlint"


def block(language: str, number: int = 0) -> str:
    return [fence.text for fence in fences(PAGE) if fence.language == language][number]


def loaded(text: str) -> Any:
    yaml = pytest.importorskip("yaml")  # comes with libcst on most Pythons
    return yaml.safe_load(text)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table whose head begins with this cell."""
    _, _, after = PAGE.partition(f"| {heading} |")
    lines = after.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_is_read_and_has_every_key(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(block("toml"), encoding="utf-8")
    table = _table_in(tmp_path / "pyproject.toml") or {}
    assert table.keys() == _READERS.keys()
    found = Configs(None, tmp_path).of(tmp_path)
    assert (found.file, found.target_torch) == (tmp_path / "pyproject.toml", (2, 4))
    assert "legacy" in found.exclude
    assert all(name in block("toml") for name in PROFILES)


def test_the_hooks_are_there() -> None:
    hooks = {hook["id"] for hook in loaded((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    (repository,) = loaded(block("yaml", 0))["repos"]
    assert repository["rev"] == f"v{__version__}"
    (hook,) = repository["hooks"]
    assert hook["id"] in hooks
    assert [bool(re.search(hook["files"], name)) for name in ("a.py", "a.ipynb", "a.md")] == [True, True, False]
    assert all(f"`{name}`" in PAGE for name in hooks)


def test_the_action_has_the_inputs_that_are_shown() -> None:
    action = loaded((ROOT / ACTION / "action.yml").read_text(encoding="utf-8"))
    step = next(step for step in loaded(block("yaml", 1))["steps"] if ACTION in step["uses"])
    assert step["uses"] == f"./{ACTION}"
    assert step["with"].keys() <= action["inputs"].keys()
    assert parsed(lint_parser(), shlex.split(step["with"]["args"])).diff_base
    defaults = {name: given["default"] or None for name, given in action["inputs"].items()}
    said = {name: None if default in ("none", "the newest") else default for name, default, _ in rows("input")}
    assert said == defaults


def test_the_script_for_gitlab_writes_the_file_that_is_collected(tmp_path: Path) -> None:
    job = loaded(block("yaml", 2))["gradlint"]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("import torch\n\nw = torch.zeros(3)\nw.require_grad = True\n")
    assert run(job["script"], tmp_path) == "\n"
    report = json.loads((tmp_path / job["artifacts"]["reports"]["codequality"]).read_text(encoding="utf-8"))
    assert [problem["check_name"] for problem in report] == ["GRD703"]
    assert job["artifacts"]["when"] == "always", "the script exits 1 when there is a problem"


def test_the_task_for_vs_code_is_a_command_of_gradlint() -> None:
    (task,) = json.loads(block("json"))["tasks"]
    program, *arguments = shlex.split(task["command"])
    assert (program, parsed(lint_parser(), arguments).output_format) == ("gradlint", "concise")


def test_profiles_formats_and_exit_codes_are_those_of_the_code() -> None:
    from gradlint.cli import FAILURE, INTERRUPTED, OK, PROBLEMS

    weakened = {name: "nothing" if not codes else ", ".join(codes) for name, codes in PROFILES.items()}
    assert {name: codes for name, _, codes in rows("profile")} == weakened
    assert [name for name, _ in rows("`--output-format`")] == list(FORMATS)
    assert [int(code) for code, _ in rows("exit status")] == [OK, PROBLEMS, FAILURE, INTERRUPTED]
