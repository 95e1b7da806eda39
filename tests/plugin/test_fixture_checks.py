"""The `gradcheck` fixture: returns the report, raises GradientMismatch, runs without --gradcheck."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]


def test_it_returns_the_report_and_runs_without_the_option(suite: Suite) -> None:
    result = suite(
        """
def test_swish(gradcheck):
    report = gradcheck(Swish, torch.randn(4, 5))
    assert report.verdict is Verdict.GOOD and report.passed
    assert [t.name for t in report.tensors] == ["input0"] and report.tensors[0].shape == (4, 5)

def test_apply_is_the_same_subject(gradcheck):
    assert gradcheck(Swish.apply, torch.randn(3)).subject == gradcheck(Swish, torch.randn(3)).subject == "Swish"

def test_module(gradcheck):
    report = gradcheck(Gated(6, 2), torch.randn(3, 6))
    assert [t.name for t in report.tensors] == ["input0", "linear.weight", "linear.bias"]
""",
        gradcheck=False,
    )
    result.assert_outcomes(passed=3)


def test_a_wrong_gradient_fails_and_the_error_carries_the_report(suite: Suite) -> None:
    result = suite(
        """
def test_fails(gradcheck):
    gradcheck(Sign, torch.randn(3))

def test_caught(gradcheck):
    with pytest.raises(GradientMismatch) as caught:
        gradcheck(Doubled, torch.randn(3))
    assert caught.value.report.verdict is Verdict.WRONG
    assert str(caught.value) == str(caught.value.report)
    assert isinstance(caught.value, AssertionError)
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_fails*"])


def test_options_of_a_call_reach_the_check(suite: Suite) -> None:
    result = suite(
        """
def test_wrt(gradcheck):
    assert [t.name for t in gradcheck(Gated(4, 2), torch.randn(3, 4), wrt=["linear.bias"]).tensors] == ["linear.bias"]

def test_kwargs(gradcheck):
    report = gradcheck(Gated(4, 2), torch.randn(3, 4), kwargs={"scale": torch.ones(())})
    assert "scale" in [t.name for t in report.tensors]

def test_settings(gradcheck):
    settings = gradcheck(Swish, torch.randn(3), eps=1e-4, bands=(1e-6, 1e-2), mode="central", order=1, seed=7).settings
    assert (settings.eps, settings.bands, settings.mode) == (1e-4, (1e-6, 1e-2), "central")
    assert (settings.order, settings.seed) == (1, 7)

def test_misspelt(gradcheck):
    gradcheck(Swish, torch.randn(3), epsilon=1e-4)

def test_the_forwards_own_keyword(gradcheck):
    gradcheck(Gated(4, 2), torch.randn(3, 4), scale=torch.ones(()))
"""
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*UsageProblem: unknown option 'epsilon' (did you mean 'eps'?); known are kwargs, wrt, eps, *",
            "*UsageProblem: unknown option 'scale'*; a keyword of the forward goes into kwargs={'scale': ...}",
        ]
    )
    result.stdout.no_fnmatch_line("*checking.py*")


def test_the_inputs_of_the_mark_stand_in_where_the_call_has_none(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((2, 3), eps=1e-4)
def test_drawn(gradcheck):
    report = gradcheck(Swish)
    assert report.tensors[0].shape == (2, 3) and report.settings.eps == 1e-4
    assert gradcheck(Swish, torch.randn(7)).tensors[0].shape == (7,)

@pytest.mark.gradcheck((3, 4), kwargs={"scale": ()})
def test_drawn_kwargs(gradcheck):
    assert {t.name for t in gradcheck(Gated(4, 2)).tensors} >= {"input0", "scale"}
"""
    )
    result.assert_outcomes(passed=2)


def test_a_misuse_is_one_clear_error(suite: Suite) -> None:
    result = suite(
        """
class Raises(nn.Module):
    def forward(self, x):
        raise RuntimeError("the hinges are off")

def test_class(gradcheck):
    gradcheck(Gated, torch.randn(3, 4))

def test_raises(gradcheck):
    gradcheck(Raises(), torch.randn(3))

def test_integers(gradcheck):
    gradcheck(torch.abs, torch.arange(3))

def test_number(gradcheck):
    gradcheck(3.0, torch.randn(3))

def test_unknown_name(gradcheck):
    gradcheck(Swish, torch.randn(3), wrt=["weight"])
"""
    )
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines_random(
        [
            "*UsageProblem: Gated is a class; a gradient check needs an instance*init=*",
            "E  *: Raises raised RuntimeError in its forward*float64: the hinges are off (test_it.py:*)",
            ">  *gradcheck(Raises(), torch.randn(3))",
            ">  *raise RuntimeError*the hinges are off*",
            "*UsageProblem: there is nothing to check: no input is a floating or complex tensor*",
            "*UsageProblem: cannot check the gradient of 3.0*",
            "*UsageProblem: *'weight'*input0*",
        ]
    )
    result.stdout.no_fnmatch_line("*engine.py:*")
    result.stdout.no_fnmatch_line("*forward.py:*")


def test_the_checks_of_subtests_are_counted_once(suite: Suite) -> None:
    source = """
def test_many(subtests, gradcheck):
    for function in (Swish, Scaled, Doubled):
        with subtests.test(function.__name__):
            gradcheck(function, torch.randn(3))
"""
    if not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests of its own")
    result = suite(source)
    result.stdout.fnmatch_lines(["gradcheck: 3 gradient checks: 2 GOOD, 1 WRONG"])
