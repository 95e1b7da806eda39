"""pytest's own options: --lf, -x, --junitxml, -p no:gradcheck, --strict-markers, --strict-config, -W error."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

TESTS = """
@pytest.mark.gradcheck((3,))
class Right(Scaled):
    pass

@pytest.mark.gradcheck((3,))
class Wrong(Scaled):
    factor = 3.0

@pytest.mark.gradcheck((3,))
@pytest.mark.gradcheck((4,))
def test_wrong():
    return Doubled

def test_three(gradcheck):
    for size in range(1, 4):
        gradcheck(Swish, torch.randn(size))

def test_plain():
    pass
"""


def test_last_failed(suite: Suite) -> None:
    suite(TESTS).assert_outcomes(passed=3, failed=3)
    result = suite(TESTS, "--lf", "-v")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines_random(["*::Wrong FAILED*", "*::test_wrong?3? FAILED*", "*::test_wrong?4? FAILED*"])
    suite(TESTS, "--ff").assert_outcomes(passed=3, failed=3)


def test_exit_first(suite: Suite) -> None:
    suite(TESTS, "-x").assert_outcomes(passed=1, failed=1)


def test_junit_holds_the_verdicts(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(TESTS, "--junitxml=out.xml", "-n0")
    cases = ET.parse(pytester.path / "out.xml").getroot().iter("testcase")
    verdicts = {
        case.get("name"): [p.get("value") for p in case.iter("property") if p.get("name") == "gradcheck_verdict"]
        for case in cases
    }
    assert verdicts == {
        "Right": ["GOOD"],
        "Wrong": ["WRONG"],
        "test_wrong[3]": ["WRONG"],
        "test_wrong[4]": ["WRONG"],
        "test_three": ["GOOD", "GOOD", "GOOD"],
        "test_plain": [],
    }


def test_the_verdicts_are_counted(suite: Suite) -> None:
    suite(TESTS).stdout.fnmatch_lines(["gradcheck: 7 gradient checks: 4 GOOD, 3 WRONG"])
    suite(TESTS, "-k", "Right").stdout.fnmatch_lines(["gradcheck: 1 gradient check: 1 GOOD"])


def test_switched_off_it_leaves_everything_else_alone(suite: Suite) -> None:
    source = "def test_plain(): pass\n"
    result = suite(source, "-p", "no:gradcheck", gradcheck=False)
    result.assert_outcomes(passed=1)
    result = suite(source, "-p", "no:gradcheck")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --gradcheck"])
    result = suite("def test_fixture(gradcheck): pass", "-p", "no:gradcheck", gradcheck=False)
    result.stdout.fnmatch_lines(["*fixture 'gradcheck' not found"])


def test_strict_markers_and_strict_config_and_errors_for_warnings(suite: Suite, pytester: pytest.Pytester) -> None:
    keys = ["gradcheck = true", "gradcheck_eps = 1e-4", "gradcheck_strict = false", "gradcheck_device = cpu"]
    pytester.makeini("\n".join(["[pytest]", *keys]))
    result = suite(TESTS, "--strict-markers", "--strict-config", "-Werror", gradcheck=False)
    result.assert_outcomes(passed=3, failed=3)
