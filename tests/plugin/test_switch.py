"""What is marked runs under --gradcheck, its ini twin or a -m expression that names it; else it is skipped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

MARKED = """
@pytest.mark.gradcheck((3,))
def test_marked():
    return Swish

@pytest.mark.gradcheck((3,))
class Square(Scaled):
    pass

@pytest.mark.parametrize("f", [pytest.param(Swish, marks=pytest.mark.gradcheck((3,)))])
def test_parameter(f):
    return f

def test_plain():
    pass
"""


def test_off_means_skipped_with_a_reason_that_names_the_option(suite: Suite) -> None:
    result = suite(MARKED, "-rs", gradcheck=False)
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED*gradient checks are off; run them with --gradcheck"])
    result.stdout.no_fnmatch_line("gradcheck: *")


def test_the_option_switches_on_and_says_so_in_the_header(suite: Suite) -> None:
    result = suite(MARKED)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["gradcheck: defaults", "gradcheck: 3 gradient checks: 3 GOOD"])
    suite(MARKED, "--gradcheck-eps=1e-4").stdout.fnmatch_lines(["gradcheck: --gradcheck-eps=0.0001"])


@pytest.mark.parametrize(
    ("options", "passed", "skipped", "deselected"),
    [
        (["-m", "gradcheck"], 3, 0, 1),
        (["-m", "gradcheck and not slow"], 3, 0, 1),
        (["-m", "not slow"], 1, 3, 0),
        (["-m", "gradcheck", "--no-gradcheck"], 0, 3, 1),
    ],
)
def test_an_expression_that_names_it(
    suite: Suite, options: list[str], passed: int, skipped: int, deselected: int
) -> None:
    suite(MARKED, *options, gradcheck=False).assert_outcomes(passed=passed, skipped=skipped, deselected=deselected)


def test_the_ini_switches_on_and_the_command_line_overrides_it(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ngradcheck = true\n")
    suite(MARKED, gradcheck=False).assert_outcomes(passed=4)
    suite(MARKED, "--no-gradcheck", gradcheck=False).assert_outcomes(passed=1, skipped=3)
    pytester.makeini("[pytest]\ngradcheck = false\n")
    suite(MARKED, gradcheck=False).assert_outcomes(passed=1, skipped=3)
    suite(MARKED).assert_outcomes(passed=4)


def test_pyproject_may_hold_the_ini_values(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\ngradcheck = true\ngradcheck_eps = "1e-4"\n')
    checked = "gradcheck(Swish, torch.randn(3)).settings.eps"
    source = f"@pytest.mark.gradcheck\ndef test_eps(gradcheck):\n    assert {checked} == 1e-4"
    suite(source, gradcheck=False).assert_outcomes(passed=1)


def test_without_a_check_there_is_no_summary_line(suite: Suite) -> None:
    suite("def test_plain(): pass").stdout.no_fnmatch_line("gradcheck: *check*")
