"""What passes without being vouched for gives a GradcheckWarning; strict fails it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

#: The plain quotient at a large step: off by more than the lower band, and its error bar says so.
SUSPICIOUS = """
@pytest.mark.gradcheck(inputs=lambda: torch.tensor([0.3, 1.0, 2.0]), mode="central", eps=2e-2)
def test_unproven():
    return torch.exp

def test_called(gradcheck):
    report = gradcheck(torch.exp, torch.tensor([0.3, 1.0, 2.0]), mode="central", eps=2e-2)
    assert report.verdict is Verdict.SUSPICIOUS and report.passed
"""
#: A band that no float64 difference can certify.
INCONCLUSIVE = """
@pytest.mark.gradcheck(inputs=lambda: torch.tensor([0.3, 1.0, 2.0]), bands=(1e-16, 1e-3))
def test_unproven():
    return torch.sin

def test_called(gradcheck):
    report = gradcheck(torch.sin, torch.tensor([0.3, 1.0, 2.0]), bands=(1e-16, 1e-3))
    assert report.verdict is Verdict.INCONCLUSIVE and report.passed
"""


@pytest.mark.parametrize(("source", "verdict"), [(SUSPICIOUS, "SUSPICIOUS"), (INCONCLUSIVE, "INCONCLUSIVE")])
def test_unproven_warns_and_strict_fails_it(suite: Suite, source: str, verdict: str) -> None:
    result = suite(source)
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines([f"*GradcheckWarning: gradients of * are {verdict}: 1 of 1 tensor*"])
    result.stdout.fnmatch_lines([f"gradcheck: 2 gradient checks: 2 {verdict}"])
    assert sum(f"are {verdict}: 1 of 1" in line for line in result.outlines) == 2  # said once per check
    result = suite(source, "--gradcheck-strict")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["strict: anything but GOOD fails"])


def test_the_warning_points_at_the_users_line(suite: Suite) -> None:
    result = suite(SUSPICIOUS, "-k", "called")
    result.stdout.fnmatch_lines(["*test_it.py:*: GradcheckWarning: *", "    report = gradcheck(torch.exp, *"])


def test_the_warning_of_a_mark_points_at_the_marked_thing(suite: Suite) -> None:
    layer = """
@pytest.mark.gradcheck(inputs=lambda: (torch.tensor([0.3, 1.0, 2.0]),), mode="central", eps=2e-2)
class Layer(nn.Module):
    def forward(self, x):
        return x.exp()
"""
    result = suite(SUSPICIOUS + layer, "-k", "unproven or Layer")
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines(["*test_it.py:8: GradcheckWarning: *", "    @pytest.mark.gradcheck(inputs=*"])
    result.stdout.fnmatch_lines(["*test_it.py:16: GradcheckWarning: gradients of Layer *"])


def test_a_warning_can_be_silenced_or_made_an_error(suite: Suite) -> None:
    category = "pytest_gradcheck.GradcheckWarning"
    suite(SUSPICIOUS, f"-Wignore::{category}").assert_outcomes(passed=2)
    result = suite(SUSPICIOUS, f"-Werror::{category}")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["gradients of exp are SUSPICIOUS: *", "test_it.py:8: GradcheckWarning"])


def test_proven_fails_and_good_is_silent(suite: Suite) -> None:
    result = suite(
        """
def test_proven(gradcheck):
    with pytest.raises(GradientMismatch) as caught:
        gradcheck(Slightly, torch.randn(5))
    assert caught.value.report.verdict is Verdict.SUSPICIOUS

def test_good(gradcheck):
    assert gradcheck(Swish, torch.randn(5)).verdict is Verdict.GOOD
"""
    )
    result.assert_outcomes(passed=2, warnings=0)


#: A gradient of zero, another, and outputs that are no numbers: nothing is wrong, and less is checked than it seems.
WARNED = """
@pytest.mark.gradcheck((3,), (3,), (3,))
def test_unused():
    return lambda x, y, z: z * z

def test_domain(gradcheck):
    gradcheck(torch.log, torch.tensor([1.0, -1.0]))

def test_good(gradcheck):
    gradcheck(Swish, torch.randn(5))
"""


def test_good_with_a_warning_is_counted_and_shown(suite: Suite, pytester: pytest.Pytester) -> None:
    for options in ([], ["-q"], ["--junitxml=junit.xml"]):
        result = suite(WARNED, *options)
        result.assert_outcomes(passed=3, warnings=0)
        result.stdout.fnmatch_lines(
            [
                "gradcheck: 3 gradient checks: 3 GOOD (2 with warnings)",
                "  GOOD with a warning: test_it.py::test_unused: the gradient of input0 is zero, * (and 1 more)",
                "  GOOD with a warning: test_it.py::test_domain: 1 of 2 output elements is nan or infinite, *",
            ]
        )
    text = (pytester.path / "junit.xml").read_text()
    assert text.count("warning: the gradient of input") == 2
    many = "\n".join(f"def test_{k}(gradcheck): gradcheck(torch.log, torch.tensor([1.0, -1.0]))" for k in range(7))
    result = suite(many)
    result.stdout.fnmatch_lines(["  and 2 more; --gradcheck-report has all of them"])


def test_wrong_on_purpose(suite: Suite) -> None:
    result = suite(
        """
expected = pytest.mark.xfail(raises=GradientMismatch, strict=True)

@expected
@pytest.mark.gradcheck((20,))
def test_straight_through():
    return Sign

@expected
def test_fixture(gradcheck):
    gradcheck(Sign, torch.randn(4))

@expected
@pytest.mark.gradcheck((4,))
class Wrong(Scaled):
    factor = 2.0

@expected
@pytest.mark.gradcheck((4,))
def test_right_after_all():
    return Swish

@expected
@pytest.mark.gradcheck((4,))
def test_another_error():
    raise ValueError("not this")
""",
        "-rx",
    )
    result.assert_outcomes(xfailed=3, failed=2)
    result.stdout.fnmatch_lines_random(["*XPASS(strict)*", "E*ValueError: not this", "XFAIL test_it.py::Wrong*"])
