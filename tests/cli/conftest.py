"""A project whose layers are checked and trained from the command line, without a test file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_gradcheck.cli.main import main

LAYERS = '''
import torch
from torch import nn

class Shaped:
    """Stands where jaxtyping's annotation would: `Float[Tensor, "batch dim"]` carries these two."""

    def __init__(self, dim_str, *dtypes):
        self.dim_str, self.dtypes = dim_str, dtypes or ("float32",)

class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return g * 4 * ctx.saved_tensors[0]

class Linear(nn.Linear):
    pass

class Annotated(nn.Module):
    def __init__(self, dim, out=3, words=7):
        super().__init__()
        self.linear = nn.Linear(dim, out)
        self.table = nn.Embedding(words, dim)

    def forward(self, x: Shaped("batch dim"), tokens: Shaped("batch", "int32", "int64"), scale: float = 1.0):
        return scale * self.linear(x + self.table(tokens))

class Picky(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, 2)

    def forward(self, x: Shaped("batch features")):
        return self.linear(x)

class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x)

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3))

    def forward(self, x):
        return torch.log(x @ self.weight - 1e9)

class Plain:
    pass

def swish(x, scale=1.0):
    return scale * x * torch.sigmoid(x)

def classifier(hidden=16):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Linear(hidden, 10))

ready = nn.Linear(4, 3)
'''


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a package `shop` that has a module `layers`; nothing of it is left in the process."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "layers.py").write_text(LAYERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")) or name.partition(".")[0] == "shop":
            del sys.modules[name]


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `python -m pytest_gradcheck` with these words in this process."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        try:
            code = main(words)
        except SystemExit as stopped:  # argparse
            code = int(stopped.code or 0)
        return Said(code, *capsys.readouterr())

    return run
