"""What a failure prints: what, where, how big, against which bound, with which seed, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

#: One wrong element of the weight's gradient.
ONE_WRONG = """
class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        wrong = x.T @ g
        wrong = wrong * torch.ones_like(wrong).index_put((torch.tensor(1), torch.tensor(2)), torch.tensor(-1.0).to(g))
        return g @ weight.T, wrong

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3))

    def forward(self, x):
        return Linear.apply(x, self.weight)
"""
MARKED = ONE_WRONG + "\n@pytest.mark.gradcheck((4, 2))\ndef test_layer():\n    return Layer()\n"


def test_a_marked_item_shows_the_report(suite: Suite) -> None:
    result = suite(MARKED, "--gradcheck-seed=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "gradients of Layer are WRONG: *",
            "  tensor * shape * relative error * error bar * verdict",
            "  input0 * 4x2 *e-* GOOD",
            "  weight * 2x3 *e-* WRONG",
            "weight?1, 2?: autograd *, numeric * (relative error 1.0e+00)",
            "bands: at most 1e-05 GOOD, at most 0.001 SUSPICIOUS, above WRONG",
            "computed in float64 on cpu, eps 1e-05, mode auto, seed 5; * forward calls in * s",
            "rerun: pytest test_it.py::test_layer --gradcheck --gradcheck-seed=5",
            "test_it.py:29: GradientMismatch",
        ]
    )
    (line,) = (line for line in result.outlines if line.startswith("weight[1, 2]: autograd"))
    autograd, numeric = float(line.split()[3].rstrip(",")), float(line.split()[5])
    assert autograd == pytest.approx(-numeric) and numeric != 0


def test_a_failure_is_put_where_the_test_or_the_layer_stands(suite: Suite, pytester: pytest.Pytester) -> None:
    source = MARKED + "\n@pytest.mark.gradcheck((3,))\nclass Wrong(Scaled):\n    factor = 3.0\n"
    lines = (pytester.path / "test_it.py", 29), (pytester.path / "test_it.py", 33)
    for options in ([], ["-n2"]):
        result = suite(source, "--tb=line", *options)
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines_random(
            [f"{path}:{line}: pytest_gradcheck.errors.GradientMismatch: gradients of *" for path, line in lines]
        )


def test_a_marked_item_shows_no_way_through_the_plugin(suite: Suite) -> None:
    source = MARKED + "\n@pytest.mark.gradcheck((3,))\nclass Wrong(Scaled):\n    factor = 3.0\n"
    for options in ([], ["--tb=long"], ["--tb=short"], ["--full-trace"]):
        result = suite(source, *options)
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines(["gradients of Wrong are WRONG: *"])
        for line in ("*checking.py*", "*plugin.py*", "*engine.py*", "*pyfunc_call*", ">  *"):
            result.stdout.no_fnmatch_line(line)


def test_a_user_problem_of_a_marked_item_is_one_sentence(suite: Suite) -> None:
    result = suite("@pytest.mark.gradcheck((3,))\ndef test_none(): pass")
    result.stdout.fnmatch_lines(["*test_none is marked with gradcheck but returned None: return the subject, or *"])
    result.stdout.no_fnmatch_line("*checking.py*")


def test_a_marked_subject_that_raises_is_one_sentence_with_its_line(suite: Suite) -> None:
    result = suite("@pytest.mark.gradcheck((3,))\ndef test_it():\n    return lambda x: x + torch.zeros(7)")
    said = "*raised RuntimeError in its forward on (3,) in float64: *non-singleton dimension 0 (test_it.py:*)"
    result.stdout.fnmatch_lines([said, "test_it.py:*: UsageProblem"])
    assert sum("non-singleton dimension 0" in line for line in result.outlines) == 1
    result.stdout.no_fnmatch_line("*direct cause*")


def test_what_the_sentence_leaves_out_of_an_error_is_still_shown(suite: Suite) -> None:
    source = "@pytest.mark.gradcheck((3,))\ndef test_it():\n    return many"
    result = suite("def many(x):\n    raise ValueError('first\\nsecond')\n\n" + source)
    result.stdout.fnmatch_lines(
        ["second", "*many raised ValueError in its forward on (3,) in float64: first (test_it.py:*"]
    )


def test_an_error_of_the_test_itself_keeps_its_traceback(suite: Suite) -> None:
    result = suite("@pytest.mark.gradcheck((3,))\ndef test_broken():\n    raise RuntimeError('mine')")
    result.stdout.fnmatch_lines([">*raise RuntimeError('mine')", "E*RuntimeError: mine"])
    result.stdout.no_fnmatch_line("*plugin.py*")


def test_a_fixture_failure_shows_the_users_line_and_the_report(suite: Suite) -> None:
    source = ONE_WRONG + "\ndef test_layer(gradcheck):\n    gradcheck(Layer(), torch.randn(4, 2))  # here\n"
    result = suite(source, "--gradcheck-seed=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*gradcheck(Layer(), torch.randn(4, 2))  # here",
            "E*GradientMismatch: gradients of Layer are WRONG: *",
            "E*weight?1, 2?: autograd *, numeric *",
            "E*rerun: pytest test_it.py::test_layer --gradcheck --gradcheck-seed=5",
            "test_it.py:*: GradientMismatch",
        ]
    )
    for line in ("*checking.py*", "*engine.py*"):
        result.stdout.no_fnmatch_line(line)


def test_strict_says_so(suite: Suite) -> None:
    result = suite(MARKED, "--gradcheck-strict")
    result.stdout.fnmatch_lines(["strict: anything but GOOD fails", "rerun: *--gradcheck-strict"])


def test_a_backward_says_where_it_stands(suite: Suite) -> None:
    result = suite("def test_sign(gradcheck):\n    gradcheck(Sign, torch.randn(3))")
    result.stdout.fnmatch_lines(["*source: layers.py:*"])
