"""Annotations that only a type checker can read: from Python 3.14 on they stand in code without quotes or imports."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.marker import check_call, check_constructor, read
from pytest_gradcheck.signatures import signature

CODE = """
class Layer:
    def __init__(self, width: ForTypeCheckersOnly[int] = 3): pass
    def forward(self, x: ForTypeCheckersOnly) -> ForTypeCheckersOnly: return x

def scaled(x: ForTypeCheckersOnly, factor: int) -> ForTypeCheckersOnly: return x * factor
"""
DEFERRED = pytest.param("", marks=pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated"))


@pytest.fixture(params=["from __future__ import annotations", DEFERRED], ids=["strings", "deferred"])
def code(request: pytest.FixtureRequest) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(request.param + CODE, "code", "exec", dont_inherit=True), names)
    return names


def test_parameters_are_known(code: dict[str, Any]) -> None:
    assert list(signature(code["scaled"]).parameters) == ["x", "factor"]
    assert signature(code["Layer"]).parameters["width"].default == 3


def test_a_mark_that_fits_is_taken(code: dict[str, Any]) -> None:
    check_call(read(((3,), (3,)), {}), code["scaled"])
    check_constructor(read(((3,),), {"init": (4,)}), code["Layer"])


def test_a_mark_that_does_not_fit_is_one_sentence(code: dict[str, Any]) -> None:
    with pytest.raises(UsageProblem, match=r"scaled\(x: .* it cannot be called with the mark's 1 inputs: missing"):
        check_call(read(((3,),), {}), code["scaled"])
    with pytest.raises(UsageProblem, match=r"Layer\(width: .* cannot be built from init=\(4, 5\)"):
        check_constructor(read(((3,),), {"init": (4, 5)}), code["Layer"])
