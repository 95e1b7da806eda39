"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pytest_gradcheck

#: Modules that must load without torch, numpy, matplotlib and pytest; those of the plugin may load pytest.
LIGHT = ["pytest_gradcheck", "pytest_gradcheck.marks", "pytest_gradcheck.model", "pytest_gradcheck.render.text"]
PLUGIN = ["pytest_gradcheck.plugin", "pytest_gradcheck.collect", "pytest_gradcheck.checking"]


def loaded(statement: str) -> set[str]:
    heavy = "{'torch', 'numpy', 'matplotlib', 'pytest', '_pytest'}"
    code = f"import sys; {statement}; print(*sorted({heavy} & set(sys.modules)))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded(f"import {', '.join(LIGHT)}") == set()
    light = [name for name in pytest_gradcheck.__all__ if name not in pytest_gradcheck._LAZY]
    assert loaded(f"from pytest_gradcheck import {', '.join(light)}") == set()
    assert loaded(f"import {', '.join(PLUGIN)}") == {"pytest", "_pytest"}


def test_this_test_can_fail() -> None:
    assert {"torch", "numpy"} <= loaded("from pytest_gradcheck import check_gradients")


@pytest.mark.parametrize("name", pytest_gradcheck.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(pytest_gradcheck, name) is not None
    assert name in dir(pytest_gradcheck)


def test_the_contract_names_are_public() -> None:
    from pytest_gradcheck import GradientMismatch, UsageProblem, Verdict, check_gradients, marks

    assert [verdict.value for verdict in Verdict] == ["GOOD", "INCONCLUSIVE", "SUSPICIOUS", "WRONG"]
    assert issubclass(GradientMismatch, AssertionError) and not issubclass(UsageProblem, AssertionError)
    assert callable(check_gradients) and callable(marks.gradcheck)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_gradcheck' has no attribute 'chek'"):
        _ = pytest_gradcheck.chek
