"""What a run holds in memory: one tree at a time, and of a file of 10,000 lines no more than its aim."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lint.cli.conftest import Write

# The aim of the design, in MiB, for one process on a file of 10,000 lines.
AIM = 350
# The kernel's mark of this very program: getrusage's also counts the process that started it, before the exec.
MEASURED = """
import re, sys
from pathlib import Path
from gradlint.cli import main
status = main(sys.argv[1:])
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
BLOCK = '''

class Net{number}(nn.Module):
    """A block with a norm, an activation and a skip connection."""

    def __init__(self, width: int = {number}, rate: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, 4 * width, bias=True)
        self.second = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(rate)
        nn.init.trunc_normal_(self.first.weight, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x).view(x.shape[0], -1, x.shape[-1])
        y = self.second(F.gelu(self.first(y), approximate="tanh"))
        if self.training and y.numel() > 0:
            y = y * torch.sqrt(y.pow(2).mean(dim=-1, keepdim=True) + 1e-6)
        return x + self.drop(y)
'''
HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
LINES = 10_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")


def text(lines: int, first: int = 0) -> str:
    size = BLOCK.count("\n")
    return HEAD + "".join(BLOCK.format(number=number) for number in range(first, first + lines // size))


def peak(*files: Path) -> int:
    """MiB at most in use while these files are linted by one process with every rule."""
    command = [sys.executable, "-c", MEASURED, *map(str, files), "--no-cache", "--jobs", "1", "--select", "ALL"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def test_a_file_of_ten_thousand_lines_stays_below_the_aim(write: Write) -> None:
    path = write("a.py", text(LINES))
    assert path.read_text(encoding="utf-8").count("\n") > LINES - 30
    found = peak(path)
    print(f"{found} MiB")
    assert 100 < found < AIM


def test_a_tree_is_gone_before_the_next_one(write: Write) -> None:
    """Ten files take hardly more than one: ten trees together would be over ten times 20 MiB."""
    files = [write(f"m{number}.py", text(1500, 80 * number)) for number in range(10)]
    one, ten = peak(files[0]), peak(*files)
    assert ten < one + 60, (one, ten)
