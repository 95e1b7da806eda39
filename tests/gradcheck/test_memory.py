"""Peak memory: projections of a large layer hold its gradient and little more; element-wise rows do not pile up."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: A layer of 64 MiB in float64, measured in a process of its own: its high-water mark only ever rises.
MEASURE = """
import json, re, sys, torch
from pathlib import Path
from torch import nn
from pytest_gradcheck import check_gradients

def peak():  # of this very program: getrusage's also counts the process that started it, before the exec
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

torch.manual_seed(0)
check_gradients(nn.Linear(3, 2), torch.randn(2, 3), checks=["vjp"])  # loads what loads once
way, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
layer, x = nn.Linear(columns, rows, dtype=torch.float64), torch.randn(2, columns, dtype=torch.float64)
before = peak()
if way == "step":
    layer(x).sum().backward()
    print(json.dumps([(peak() - before) / 1024 + 8 * rows * columns / 2**20, True]))
else:
    report = check_gradients(layer, x, mode=way, checks=["determinism", "vjp"])
    print(json.dumps([(peak() - before) / 1024, report.passed]))
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def mib(way: str, rows: int, columns: int) -> float:
    """Peak MiB of a training step, its parameters included, or of a check."""
    command = [sys.executable, "-c", MEASURE, way, str(rows), str(columns)]
    found, passed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert passed
    return float(found)


def test_projections_stay_within_three_times_a_step() -> None:
    step = mib("step", 2048, 4096)
    assert 120 < step < 250, "the parameter and its gradient: else this measures something else"
    assert mib("projection", 2048, 4096) <= 3 * step


def test_elements_stream() -> None:
    # 8192 elements of a leaf of as many: rows of all of them at once would be 1 GiB.
    assert mib("elementwise", 64, 128) < 200
