"""`marks.gradcheck` in production code, and marks on parameters, test classes and modules."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]


def test_production_code_marks_without_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        production="""
import sys
from pytest_gradcheck import marks

@marks.gradcheck((8, 16), init=(16, 4))
class Layer:
    pass

@marks.gradcheck((3,))
def swish(x):
    return x

assert swish(3) == 3 and Layer.__name__ == "Layer"
assert not {"pytest", "_pytest", "torch", "numpy"} & set(sys.modules), "imported"
"""
    )
    assert pytester.run(sys.executable, "production.py").ret == 0


def test_marks_mean_what_the_marker_means(suite: Suite) -> None:
    result = suite(
        """
from pytest_gradcheck import marks

@marks.gradcheck((8, 16), init=(16, 4))
class Layer(Gated):
    pass

@marks.gradcheck((3,))
@marks.gradcheck((2, 4))
class Wrong(Scaled):
    factor = 3.0

class Inherits(Wrong):
    pass

@marks.gradcheck((3,), init=(1,))
class Bad(nn.Module):
    def __init__(self, size):
        super().__init__()

    def forward(self, x):
        return x * x

@marks.gradcheck((3,))
def test_function():
    return Doubled

@marks.gradcheck((3,))
class TestGroup:
    def test_in_a_class(self):
        return Doubled
""",
        "-v",
    )
    result.assert_outcomes(passed=2, failed=4)
    for line in (
        "Layer PASSED",
        "Wrong[[]3] FAILED",
        "Wrong[[]2x4] FAILED",
        "test_function FAILED",
        "*in_a_class FAILED",
    ):
        result.stdout.fnmatch_lines([f"test_it.py::{line}*"])


def test_marks_on_parameters(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.parametrize("function", [
    pytest.param(Swish, marks=pytest.mark.gradcheck((3,))),
    pytest.param(Doubled, marks=pytest.mark.gradcheck((3,))),
    pytest.param(None),
])
def test_parameters(function):
    return function

@pytest.mark.parametrize("shape", [(2,), pytest.param((5,), marks=pytest.mark.gradcheck((5,), eps=1e-4))])
@pytest.mark.gradcheck((2,), eps=1e-3)
def test_the_parameter_is_nearer_than_the_function(shape, gradcheck):
    report = gradcheck(Swish)
    assert report.tensors[0].shape == shape and report.settings.eps == {2: 1e-3, 5: 1e-4}[shape[0]]
""",
        "-v",
    )
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_parameters?Doubled? FAILED*"])


def test_marks_on_test_classes(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((3,))
@pytest.mark.gradcheck((2, 2))
class TestTwo:
    def test_right(self):
        return Swish

    @pytest.mark.gradcheck((4,))
    def test_own(self, gradcheck):
        assert gradcheck(Swish).tensors[0].shape == (4,)

class TestDerived(TestTwo):
    pass

@pytest.mark.gradcheck((6,))
class TestNearer(TestTwo):
    def test_right(self, gradcheck):
        assert gradcheck(Swish).tensors[0].shape == (6,)
""",
        "-v",
    )
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(
        ["*TestTwo::test_right?2x2? PASSED*", "*TestTwo::test_right?3? PASSED*", "*TestNearer::test_right PASSED*"]
    )


def test_a_mark_on_a_module(suite: Suite) -> None:
    result = suite(
        """
pytestmark = [pytest.mark.gradcheck((3,), eps=1e-4)]

def test_right(gradcheck):
    assert gradcheck(Swish).settings.eps == 1e-4

def test_wrong():
    return Doubled
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_wrong*"])
