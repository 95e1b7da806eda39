"""What other tools are told of gradlint: the hooks, the action, the documentation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gradlint.arguments import lint_parser, parsed
from gradlint.documents import SUFFIXES
from gradlint.output import FORMATS

from tests.lint.cli.code import TYPO
from tests.lint.cli.conftest import Cli, Write
from tests.lint.cli.notebooks import notebook

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "gradlint.md").read_text(encoding="utf-8")


def load(name: str) -> Any:
    yaml = pytest.importorskip("yaml")  # comes with libcst on most Pythons
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_hooks_take_the_files_that_gradlint_takes() -> None:
    for hook in load(".pre-commit-hooks.yaml"):
        given = parsed(lint_parser(), hook["entry"].split()[1:])
        assert (given.force_exclude, given.fix) == (True, hook["id"] == "gradlint-fix")
        assert hook["types"] == ["file"]
        assert all(re.search(hook["files"], f"a{suffix}") for suffix in SUFFIXES)
        assert not any(re.search(hook["files"], name) for name in ("a.pyi", "script", "a.mdx", "py"))


@pytest.mark.skipif(sys.platform == "win32", reason="the action's steps are bash")
def test_the_steps_of_the_action_run(write: Write) -> None:
    write("src dir/a.py", TYPO)
    write("b.py", TYPO)
    steps = {step.get("name"): step for step in load(".github/actions/gradlint/action.yml")["runs"]["steps"]}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "RUNNER_TEMP": str(Path.cwd()), "GRADLINT_PATHS": "b.py ."}
    environment["GRADLINT_ARGS"] = "--ignore GRD1 --no-cache"
    for name, status in (("Write SARIF", 0), ("Run gradlint", 1)):
        command = ["bash", "-e", "-o", "pipefail", "-c", steps[name]["run"]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
    assert done.stdout.count("::error ") == 2
    assert steps["Upload to code scanning"]["with"]["sarif_file"] == "${{ runner.temp }}/gradlint.sarif"
    log = json.loads(Path("gradlint.sarif").read_text(encoding="utf-8"))
    assert len(log["runs"][0]["results"]) == 2


def test_every_format_and_way_to_narrow_is_documented() -> None:
    for name in FORMATS:
        assert f"| `{name}` |" in PAGE
    for option in ("--output-file", "--statistics", "--write-baseline", "--baseline", "--diff-base", "--force-exclude"):
        assert option in PAGE


def test_the_problem_matcher_for_vs_code_matches(cli: Cli, write: Write) -> None:
    block = next(block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "problemMatcher" in block)
    pattern = json.loads(block)["tasks"][0]["problemMatcher"]["pattern"]
    write("a b.py", TYPO)
    write("n.ipynb", notebook("x = 1", TYPO))
    write("s.py", "from torch import nn\nx = nn.Softmax()\n")
    lines = cli(".", "--output-format", "concise", "--select", "GRD703,GRD505").out.splitlines()
    found = [re.match(pattern["regexp"], line) for line in lines]
    groups = [[match[pattern[key]] for key in ("file", "line", "column", "code")] for match in found if match]
    expected = [["a b.py", "4", "3", "GRD703"], ["n.ipynb", "4", "3", "GRD703"], ["s.py", "2", "5", "GRD505"]]
    assert groups == expected, "and not the line of totals"
    assert all(match[pattern["message"]][0] != "[" for match in found if match)
