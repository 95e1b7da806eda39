"""A run without checks imports neither torch, numpy nor matplotlib, from its start to its end."""

from __future__ import annotations

import sys

import pytest

#: Runs pytest with the given options and then says which of the three are loaded; the last word, after every hook.
PROBE = """
import sys
import pytest
code = pytest.main(["-p", "no:hypothesispytest", *sys.argv[1:]])
print("code", int(code), "loaded", sorted({"torch", "numpy", "matplotlib"} & set(sys.modules)))
"""
PLAIN = """
import pytest
import pytest_gradcheck
from pytest_gradcheck import GradcheckWarning, GradientMismatch, Report, Verdict, marks

def test_passes():
    pass

@pytest.mark.parametrize("a", [1, pytest.param(2, marks=pytest.mark.gradcheck((3,)))])
def test_parameters(a):
    assert a == 1

@marks.gradcheck((3,))
def test_marked():
    raise AssertionError

class TestGroup:
    def test_method(self, tmp_path, request):
        pass
"""


@pytest.fixture
def probed(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(probe=PROBE, test_it=PLAIN)
    pytester.makepyfile(ordinary="from pytest_gradcheck import marks\n")
    return pytester


def loaded(pytester: pytest.Pytester, *options: str) -> str:
    lines = pytester.run(sys.executable, "probe.py", *options).outlines
    return lines[-1]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 0),
        (["--collect-only"], 0),
        (["--gradcheck", "--gradcheck-eps=1e-4", "--gradcheck-device=cpu", "-k", "not marked and not 2"], 0),
        (["--gradcheck-modules", "-n2", "--junitxml=out.xml"], 0),
        (["--help"], 0),
    ],
)
def test_a_run_without_checks(probed: pytest.Pytester, options: list[str], code: int) -> None:
    assert loaded(probed, *options) == f"code {code} loaded []"


def test_this_test_can_fail(probed: pytest.Pytester) -> None:
    probed.makeconftest("def pytest_unconfigure(config):\n    import torch")
    line = loaded(probed)
    assert line.startswith("code 0 loaded [") and "'torch'" in line
    probed.makeconftest("")
    line = loaded(probed, "--gradcheck", "-k", "2")  # a check runs (and fails): the engine is loaded then
    assert line.startswith("code 1 loaded [") and "'torch'" in line
