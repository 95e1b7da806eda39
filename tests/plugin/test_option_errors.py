"""A bad value names the option or the ini key it belongs to, and is an error of usage."""

from __future__ import annotations

import pytest

BAD = {
    "eps": ("0", "must be a positive number, not *0*"),
    "bands": ("1e-3", "must be two numbers, such as 1e-5,1e-3, not '1e-3'"),
    "mode": ("slow", "must be one of auto, elementwise, projection, central, not 'slow'"),
    "order": ("3", "must be 1 or 2, not *3*"),
    "dtype": ("float46", "must be one of float64, *, not 'float46' (did you mean 'float64'?)"),
    "seed": ("-1", "must lie in 0 .. 2**63 - 1, not *-1*"),
    "budget": ("-1", "must be a positive number, not *-1*"),
    "checks": ("vpj", "must be one of *, not 'vpj' (did you mean 'vjp'?)"),
    "device": ("gpu", "must be one of cpu, cuda, mps, xpu, auto, not 'gpu'*"),
}
UNREADABLE = {
    "gradcheck": "maybe",
    "gradcheck_eps": "tiny",
    "gradcheck_order": "two",
    "gradcheck_seed": "1.5",
    "gradcheck_budget": "soon",
    "gradcheck_strict": "very",
    "gradcheck_modules": "some",
}
QUICK = ("-p", "no:hypothesispytest")


def usage_error(result: pytest.RunResult, said: str) -> None:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    for stream in (result.stdout, result.stderr):
        stream.no_fnmatch_line("*INTERNALERROR*")
        stream.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_option(pytester: pytest.Pytester, name: str) -> None:
    value, said = BAD[name]
    result = pytester.runpytest_inprocess(*QUICK, f"--gradcheck-{name}={value}")
    usage_error(result, f"ERROR: --gradcheck-{name} {said}")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_ini_value(pytester: pytest.Pytester, name: str) -> None:
    value, said = BAD[name]
    pytester.makeini(f"[pytest]\ngradcheck_{name} = {value}\n")
    usage_error(pytester.runpytest_inprocess(*QUICK), f"ERROR: ini option gradcheck_{name} {said}")


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_ini_value_that_pytest_itself_cannot_read(pytester: pytest.Pytester, name: str) -> None:
    pytester.makeini(f"[pytest]\n{name} = {UNREADABLE[name]}\n")
    usage_error(pytester.runpytest_inprocess(*QUICK), f"ERROR: ini option {name}: *{UNREADABLE[name]}*")


@pytest.mark.parametrize("name", ["eps", "order", "seed", "budget"])
def test_an_option_that_is_no_number(pytester: pytest.Pytester, name: str) -> None:
    result = pytester.runpytest_inprocess(*QUICK, f"--gradcheck-{name}=many")
    usage_error(result, f"ERROR: --gradcheck-{name} must be *, not 'many'")


def test_under_xdist_as_well(pytester: pytest.Pytester) -> None:
    usage_error(pytester.runpytest_inprocess(*QUICK, "-n2", "--gradcheck-eps=0"), "ERROR: --gradcheck-eps must be *")


def test_every_option_is_explained(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*QUICK, "--help")
    text = result.stdout.str()
    for name in [*BAD, "strict", "modules"]:
        assert f"--gradcheck-{name}" in text and f"gradcheck_{name} (" in text, name
    assert "--no-gradcheck" in text and "--no-gradcheck-strict" in text
    result = pytester.runpytest_inprocess(*QUICK, "--markers")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.gradcheck(*inputs, init=(), init_kwargs=None, inputs=None, kwargs=None,*"]
    )
