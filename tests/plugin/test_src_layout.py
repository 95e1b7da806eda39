"""`pytest --gradcheck --gradcheck-modules src/` in a project that keeps its package under src/."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import QUICK

LAYERS = """
import torch
from torch import nn
from pytest_gradcheck import marks
from shop.functions import Square

@marks.gradcheck((4, 6), init=(6, 3))
class Dense(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return Square.apply(self.linear(x))
"""
FUNCTIONS = """
import torch
from pytest_gradcheck import marks

@marks.gradcheck((3,))
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return g * FACTOR * ctx.saved_tensors[0]
"""


def project(pytester: pytest.Pytester, factor: str) -> None:
    package = pytester.path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "layers.py").write_text(LAYERS)
    (package / "functions.py").write_text(FUNCTIONS.replace("FACTOR", factor))
    (package / "unmarked.py").write_text("raise RuntimeError('must not be imported')")


@pytest.mark.parametrize("mode", ["importlib", "prepend"])
def test_marked_layers_below_src(pytester: pytest.Pytester, mode: str) -> None:
    project(pytester, "2")
    pytester.makeini("[pytest]\npythonpath = src\n")
    options = (*QUICK, f"--import-mode={mode}", "--gradcheck", "--gradcheck-modules", "-v", "src/")
    result = pytester.runpytest_inprocess(*options)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["src/shop/functions.py::Square PASSED*", "src/shop/layers.py::Dense PASSED*"])


def test_a_fault_below_src_is_found(pytester: pytest.Pytester) -> None:
    project(pytester, "3")
    pytester.makeini("[pytest]\npythonpath = src\n")
    result = pytester.runpytest_inprocess(*QUICK, "--gradcheck", "--gradcheck-modules", "src/")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*autograd = 1.5 x numeric*"])
