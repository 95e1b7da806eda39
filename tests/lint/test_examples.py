"""The risky examples: gradlint finds in them what stands beside them, and nothing in the good ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _gradlint(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradlint", "--no-cache", "--output-format", "concise", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_risky_examples_give_the_expected_findings() -> None:
    found = _gradlint("--exit-zero", "examples/risky")
    assert found.returncode == 0
    assert found.stdout == (ROOT / "examples" / "risky" / "expected.txt").read_text()
    assert _gradlint("examples/risky").returncode == 1


def test_good_examples_are_clean() -> None:
    found = _gradlint("examples/layers", "examples/fashion_mnist")
    assert (found.returncode, found.stdout) == (0, "Found 0 problems (0 fixable).\n")
