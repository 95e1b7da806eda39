"""A run with --fix that is killed leaves every file old or new, and the next run finishes the work."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.lint.cli.code import FIXED_TYPO, TYPO
from tests.lint.cli.conftest import Cli, Write

FILES = 12
# Kills its own process, without a last word, at the nth call that opens, syncs, names or removes a file of the project.
KILLED = """
import os, signal, sys
from pathlib import Path
from gradlint.cli import main
left = [int(sys.argv[1])]
def counted(function):
    def call(*given, **more):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **more)
    return call
os.fsync = counted(os.fsync)
os.fchmod = counted(os.fchmod)
os.replace = counted(os.replace)
Path.replace = counted(Path.replace)
Path.chmod = counted(Path.chmod)
sys.exit(main([".", "--fix", "--no-cache"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("moment", [0, 1, 2, 3, 4, 5, 9, 13])
def test_a_killed_fix_leaves_each_file_old_or_new(cli: Cli, write: Write, moment: int) -> None:
    paths = [write(f"m{number}.py", TYPO) for number in range(FILES)]
    done = subprocess.run([sys.executable, "-c", KILLED, str(moment)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, "too few calls: the moments are no moments of the run"
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert set(texts) <= {TYPO, FIXED_TYPO}
    assert TYPO in texts
    assert cli(".", "--fix", "--no-cache").status == 0
    assert {path.read_text(encoding="utf-8") for path in paths} == {FIXED_TYPO}
