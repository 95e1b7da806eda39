"""A mark without inputs takes their shapes from annotations of jaxtyping's kind, where the forward has them."""

from __future__ import annotations

import pytest

LAYERS = """
import torch
from torch import nn
from pytest_gradcheck import marks

class Float:
    def __init__(self, dim_str):
        self.dim_str, self.dtypes = dim_str, ("float32",)

@marks.gradcheck(init=(6, 3))
class Scaled(nn.Linear):
    def forward(self, x: Float("batch in_features")):
        assert x.shape[1] == 6
        return super().forward(x)

@marks.gradcheck(domain=(2.0, 3.0))
class Root(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Float("n 4")):
        assert x.shape[1] == 4 and 2 <= x.min() and x.max() <= 3
        y = x.sqrt()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g / ctx.saved_tensors[0]
"""


def test_layers_are_checked_on_the_shapes_of_their_annotations(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(layers=LAYERS)
    result = pytester.runpytest_inprocess("-v", "--gradcheck", "--gradcheck-modules", "layers.py")
    result.assert_outcomes(passed=1, failed=1)  # the backward of Root lacks a half
    result.stdout.fnmatch_lines(["layers.py::Scaled PASSED*", "layers.py::Root FAILED*", "*input0  2x4 *WRONG*"])


TESTS = """
import pytest
from layers import Float, Scaled

def plain(x, y): return x * y
def unknown(x: Float("n n/2")): return x

@pytest.mark.gradcheck
def test_returned(): return Scaled(6, 3)

@pytest.mark.gradcheck((1, 6))
def test_the_mark_decides(): return Scaled(6, 3)

@pytest.mark.gradcheck
def test_without_annotations(): return plain

@pytest.mark.gradcheck
def test_that_cannot_be_worked_out(): return unknown
"""


def test_a_mark_with_inputs_decides_and_annotations_that_say_nothing_are_one_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(layers=LAYERS, test_it=TESTS)
    result = pytester.runpytest_inprocess("-v", "--gradcheck", "test_it.py")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        ["there is nothing to check: *; give the inputs, as tensors or, in a mark, as shapes: *"]
    )
    said = "*the dimension 'n/2' of 'x' cannot be worked out: give shapes, in the mark or by --input"
    result.stdout.fnmatch_lines([said])
