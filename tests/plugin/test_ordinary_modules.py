"""--gradcheck-modules collects the marked layers of ordinary modules, as --doctest-modules does with docstrings."""

from __future__ import annotations

import pytest

PRODUCTION = """
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
        return g * 2 * ctx.saved_tensors[0]

def test_not_a_test_here():
    raise AssertionError
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.mkpydir("package")
    pytester.path.joinpath("package/layers.py").write_text(PRODUCTION)
    pytester.path.joinpath("package/broken.py").write_text("raise RuntimeError('must not be imported')")
    pytester.makepyfile(setup="raise RuntimeError('gradcheck')", test_it="def test_plain(): pass")
    return pytester


def test_only_where_it_is_asked_for(project: pytest.Pytester) -> None:
    quick = ("-p", "no:hypothesispytest", "-v", "--gradcheck")
    project.runpytest_inprocess(*quick).assert_outcomes(passed=1)
    result = project.runpytest_inprocess(*quick, "--gradcheck-modules")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["package/layers.py::Square PASSED*", "test_it.py::test_plain PASSED*"])
    project.makeini("[pytest]\ngradcheck_modules = true\ngradcheck = true\n")
    project.runpytest_inprocess(*quick[:3]).assert_outcomes(passed=2)
    project.runpytest_inprocess(*quick[:3], "--no-gradcheck").assert_outcomes(passed=1, skipped=1)


def test_a_module_that_is_named_needs_no_option(project: pytest.Pytester) -> None:
    for more in ([], ["--gradcheck-modules"]):
        node = "package/layers.py::Square"
        result = project.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck", *more, node)
        result.assert_outcomes(passed=1)


def test_test_files_are_collected_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=PRODUCTION.replace("raise AssertionError", "pass"))
    result = pytester.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck", "--gradcheck-modules")
    result.assert_outcomes(passed=2)


def test_an_error_in_a_mark_names_the_layer(project: pytest.Pytester) -> None:
    wrong = PRODUCTION.replace("gradcheck((3,))", "gradcheck((3,), epss=1)")
    project.path.joinpath("package/layers.py").write_text(wrong)
    result = project.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck-modules")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["package/layers.py::Square: gradcheck has no argument 'epss'*"])


MORE = """
import torch
from torch import nn
from pytest_gradcheck import marks

@marks.gradcheck((3,))
@marks.gradcheck((2, 2))
def right(x):
    return torch.sin(x)

@marks.gradcheck((3,), kwargs={"scale": (3,)})
def cut(x, scale):
    return x.sin() * scale.detach()

def unmarked(x):
    raise AssertionError

class Blocks:
    @marks.gradcheck((4, 3), init=(3, 2))
    class Inner(nn.Linear):
        class Unmarked(nn.Module):
            pass
"""


def test_plain_functions_and_nested_classes_are_checked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(layers=MORE)
    quick = ("-p", "no:hypothesispytest", "-v", "--gradcheck")
    for options in (
        ["--gradcheck-modules"],
        ["layers.py"],
        ["layers.py::Blocks.Inner", "layers.py::right", "layers.py::cut"],
    ):
        result = pytester.runpytest_inprocess(*quick, *options)
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines_random(
            [
                "layers.py::right[[]3[]] PASSED*",
                "layers.py::right[[]2x2[]] PASSED*",
                "layers.py::Blocks.Inner PASSED*",
                "*gradients of cut are WRONG: 1 of 2 tensors differs from finite differences",
                "layers.py:10: GradientMismatch",
                "rerun: pytest layers.py::cut --gradcheck --gradcheck-seed=*",
            ]
        )


METHOD = """class Layer:
    @marks.gradcheck((3,))
    def forward(self, x): return x
"""
WRONG_MARKS = {
    "@marks.gradcheck((3,))\ndef helper(x, y): return x": "*::helper: gradcheck: helper(x, y) is no test by its name, "
    "so it is itself what this mark checks; it cannot be called with the mark's 1 inputs: missing a required *",
    METHOD: "*::Layer.forward: gradcheck marks a method, which needs an object to be called on: mark the class Layer *",
    "@marks.gradcheck((3,), init=(1,))\ndef f(x): return x": "*::f: gradcheck: init builds an nn.Module, but f is a "
    "function: remove it*",
}


@pytest.mark.parametrize("source", WRONG_MARKS)
def test_a_mark_that_cannot_work_is_one_error(pytester: pytest.Pytester, source: str) -> None:
    pytester.makepyfile(layers=f"import torch\nfrom pytest_gradcheck import marks\n{source}\n")
    result = pytester.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck", "--gradcheck-modules")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([WRONG_MARKS[source]])
