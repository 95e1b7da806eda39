"""Runs pytest inside pytest. torch is loaded here, once: an inner run must not be the first to load it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator

import pytest
import torch

from pytest_gradcheck import check_gradients

#: Layers that the inner tests import: three right ones, and wrong ones named after their fault.
LAYERS = """
import torch
from torch import nn

class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * (s + x * s * (1 - s))

class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, g):
        return g

class Scaled(torch.autograd.Function):
    factor = 1.0

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x * cls.factor

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

class Doubled(Scaled):
    factor = 2.0

class Slightly(Scaled):
    factor = 1.002

class Gated(nn.Module):
    def __init__(self, wide, narrow, bias=True):
        super().__init__()
        self.linear = nn.Linear(wide, 2 * narrow, bias=bias)

    def forward(self, x, scale=1.0):
        a, b = self.linear(x).chunk(2, -1)
        return scale * a * torch.sigmoid(b)
"""

HEADER = """
import pytest
import torch
from torch import nn
from pytest_gradcheck import GradientMismatch, Verdict
from layers import Doubled, Gated, Scaled, Sign, Slightly, Swish
"""

#: A plugin that an inner run would load anew, at a second a time.
QUICK = ("-p", "no:hypothesispytest")

Suite = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session", autouse=True)
def torch_is_warm() -> Iterator[None]:
    """Loads what torch and the engine load on first use, which an inner run would unload and then load again.

    One thread each: where inner runs and their workers share few cores, torch's threads wait for each other.
    """
    importlib.import_module("torch._dynamo")  # what seeds the generators loads it, once anything has asked for it

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        check_gradients(torch.nn.Linear(2, 2), torch.randn(3, 2))
        yield
        torch.set_num_threads(threads)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Writes `test_it.py` (beside `layers.py`) and runs pytest on it in this process: `suite(source, *options)`."""

    def run(source: str, *options: str, gradcheck: bool = True) -> pytest.RunResult:
        pytester.makepyfile(layers=LAYERS)
        pytester.path.joinpath("test_it.py").write_text(HEADER + source)
        return pytester.runpytest_inprocess(*QUICK, *(["--gradcheck"] if gradcheck else []), *options)

    return run


@pytest.fixture(autouse=True)
def _not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest prints whole lines in its summary when it believes to run in CI; these tests read what a user sees."""
    for name in ("CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
