"""Devices: one item each where two or more are asked for; an absent one skips with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_gradcheck.subjects.devices import available

Suite = Callable[..., pytest.RunResult]

ABSENT = next(name for name in ("xpu", "mps", "cuda:99") if not available(name))
TESTS = """
@pytest.mark.gradcheck((3,))
class Square(Scaled):
    pass

@pytest.mark.gradcheck((3,))
def test_marked():
    return Swish

@pytest.mark.gradcheck((3,))
@pytest.mark.parametrize("factor", [2])
def test_marked_and_parametrized(factor):
    return lambda x: factor * x.sin()

@pytest.mark.parametrize("f", [pytest.param(Swish, marks=pytest.mark.gradcheck((3,)))])
def test_parameter(f):
    return f

def test_fixture(gradcheck):
    assert gradcheck(Swish, torch.randn(3)).device == "cpu"

def test_device(gradcheck_device):
    assert gradcheck_device == "cpu"

def test_plain():
    pass
"""
NAMES = ("Square", "test_marked", "test_marked_and_parametrized", "test_parameter", "test_fixture", "test_device")


def test_two_devices_are_two_items(suite: Suite) -> None:
    result = suite(TESTS, "-v", "-rs", "--gradcheck-device=cpu", f"--gradcheck-device={ABSENT}")
    result.assert_outcomes(passed=7, skipped=6)
    for name, before in zip(NAMES, ("", "", "2-", "Swish-", "", ""), strict=True):
        result.stdout.fnmatch_lines([f"test_it.py::{name}[[]{before}cpu] PASSED*"])
        result.stdout.fnmatch_lines([f"test_it.py::{name}[[]{before}{ABSENT}] SKIPPED*"])
    result.stdout.fnmatch_lines([f"SKIPPED*device '{ABSENT}' is not available on this machine"])
    result.stdout.fnmatch_lines(["test_it.py::test_plain PASSED*"])


def test_one_device_leaves_the_names_alone(suite: Suite) -> None:
    result = suite(TESTS, "-v", "--gradcheck-device=cpu", "--gradcheck-device=cpu")
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["test_it.py::Square PASSED*", "test_it.py::test_marked PASSED*"])
    result = suite(TESTS, f"--gradcheck-device={ABSENT}", "-rs")
    result.assert_outcomes(passed=1, skipped=6)
    result.stdout.fnmatch_lines([f"SKIPPED*device '{ABSENT}' is not available on this machine"])


def test_the_ini_names_devices_and_the_command_line_wins(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\ngradcheck_device = cpu {ABSENT}\n")
    result = suite(TESTS)
    result.assert_outcomes(passed=7, skipped=6)
    result.stdout.fnmatch_lines([f"gradcheck: defaults, devices cpu, {ABSENT}"])
    suite(TESTS, "--gradcheck-device=cpu").assert_outcomes(passed=7)


def test_auto_is_a_device_that_exists(suite: Suite) -> None:
    suite("def test_it(gradcheck):\n    gradcheck(Swish, torch.randn(3))", "--gradcheck-device=auto").assert_outcomes(
        passed=1
    )


def test_a_mark_or_a_call_may_name_its_own(suite: Suite) -> None:
    result = suite(
        f"""
@pytest.mark.gradcheck((3,), device="cpu")
def test_marked(gradcheck):
    assert gradcheck(Swish).device == "cpu"

def test_called(gradcheck):
    gradcheck(Swish, torch.randn(3), device={ABSENT!r})
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"*UsageProblem: device '{ABSENT}' is not available on this machine"])
