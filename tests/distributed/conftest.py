"""Runs real ranks: `torchrun` in a subprocess, ended with all its children where it takes too long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

#: Seconds after which a run counts as hanging; ranks give each other up long before.
DEADLOCK, PATIENCE = 240, "40"
#: Every rank writes what it saw, beside what rank 0 prints.
OUTCOMES = """
import json, os, pathlib, pytest

SEEN = {}

def pytest_runtest_logreport(report):
    if report.when == "call" or report.failed:
        SEEN[report.nodeid.partition("::")[2]] = [report.outcome, report.longreprtext]

def pytest_sessionstart(session):
    SEEN["session"] = session

@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config):
    SEEN["status"] = int(SEEN.pop("session").exitstatus)
    pathlib.Path(f"rank{os.environ['RANK']}.json").write_text(json.dumps(SEEN))
"""
#: A process group for the whole session, as people start one.
GROUP = """
import torch.distributed as dist

@pytest.fixture(scope="session", autouse=True)
def group():
    dist.init_process_group("gloo")
    yield
    dist.destroy_process_group()
"""


@dataclass(frozen=True)
class Run:
    """What two ranks did: their exit status (torchrun's own is 1 for any failure), what they printed and saw."""

    folder: Path
    status: int
    output: str

    def seen(self, rank: int) -> dict[str, Any]:
        """What a rank's tests came to: outcome and text by name."""
        found: dict[str, Any] = json.loads((self.folder / f"rank{rank}.json").read_text())
        return found


def torchrun(folder: Path, *words: str, patience: str = PATIENCE) -> Run:
    """`torchrun --nproc-per-node 2 WORDS` in a folder."""
    ours = ("PYTEST_", "OMP_", "MKL_", "GITHUB_", "MASTER_", "TORCHELASTIC_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours) and key != "CI"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTEST_GRADCHECK_RANK_TIMEOUT": patience, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=DEADLOCK)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            pytest.fail(f"the ranks wait for each other:\n{output}")
    return Run(folder, process.returncode, output)


def session(folder: Path, tests: str, *options: str, group: bool = True) -> Run:
    """`torchrun -m pytest --gradcheck` on `test_it.py`."""
    (folder / "conftest.py").write_text(OUTCOMES + (GROUP if group else ""))
    (folder / "test_it.py").write_text(tests)
    quick = ("-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider", "-W", "ignore::FutureWarning")
    return torchrun(folder, "-m", "pytest", "--gradcheck", *quick, *options)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs ranks where this torch has none."""
    if not (dist.is_available() and dist.is_gloo_available()):
        for item in items:
            if "distributed" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="this torch has no gloo"))
