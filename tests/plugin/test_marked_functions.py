"""The marker on test functions: what the test returns is checked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]


def test_the_test_returns_the_subject(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((8, 16))
def test_gated():
    return Gated(16, 4)

@pytest.mark.gradcheck((4,))
def test_wrong():
    return Doubled

@pytest.mark.gradcheck(())
def test_scalar():
    return torch.sin

@pytest.mark.gradcheck((3, 4), init=(4, 2), init_kwargs={"bias": False})
def test_constructed():
    return Gated
""",
        "-Werror",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_wrong*"])
    result.stdout.no_fnmatch_line("*PytestReturnNotNone*")
    result.stdout.no_fnmatch_line("*Expected None, but*")


def test_the_test_returns_the_subject_with_its_inputs(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck
def test_bare():
    return Gated(4, 2), torch.randn(3, 4)

@pytest.mark.gradcheck(eps=1e-4)
def test_wrong():
    return Doubled, torch.randn(3, 4)

@pytest.mark.gradcheck(kwargs={"scale": ()}, wrt=["scale"])
def test_the_marks_kwargs_are_drawn():
    return Gated(4, 2), torch.randn(3, 4)

@pytest.mark.gradcheck((3, 4))
def test_two_sides():
    return Gated(4, 2), torch.randn(3, 4)
"""
    )
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines_random(
        ["FAILED test_it.py::test_wrong*", "*test_two_sides returned inputs*names inputs too*"]
    )


def test_none_is_right_only_with_the_fixture(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((3,))
def test_used(gradcheck):
    gradcheck(Swish)

@pytest.mark.gradcheck((3,))
def test_without():
    Swish.apply(torch.randn(3))

@pytest.mark.gradcheck((3,))
def test_asked_for_but_not_used(gradcheck):
    pass

@pytest.mark.gradcheck((3,))
def test_used_and_returned(gradcheck):
    gradcheck(Swish)
    return Doubled
"""
    )
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines_random(
        [
            "*test_without is marked with gradcheck but returned None: return the subject*",
            "*test_asked_for_but_not_used is marked with gradcheck but returned None*",
            "FAILED test_it.py::test_used_and_returned*",
        ]
    )


def test_fixtures_and_parametrize_work(suite: Suite) -> None:
    result = suite(
        """
@pytest.fixture
def narrow():
    return 2

@pytest.mark.parametrize("wide", [3, 5])
@pytest.mark.gradcheck
def test_both(narrow, wide):
    return Gated(wide, narrow), torch.randn(2, wide)

class TestMethods:
    @pytest.mark.gradcheck((2, 3))
    def test_method(self, narrow):
        assert isinstance(self, TestMethods)
        return Gated(3, narrow)

    @staticmethod
    @pytest.mark.gradcheck((2, 3))
    def test_static():
        return Doubled
""",
        "-v",
    )
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_both?3? PASSED*", "test_it.py::test_both?5? PASSED*", "*TestMethods::test_static FAILED*"]
    )


def test_inputs_are_drawn_as_the_mark_says(suite: Suite) -> None:
    result = suite(
        """
seen = []

def keep(*inputs, **kwargs):
    seen.append((inputs, kwargs))
    total = sum(t.sum() for t in torch.utils._pytree.tree_leaves((inputs, kwargs)) if isinstance(t, torch.Tensor))
    return total

given = torch.tensor([2.0, 3.0])

@pytest.mark.gradcheck((2, 3), given, [(4,), {"a": (5,)}], torch.arange(2), True, kwargs={"k": (6,)})
def test_nested():
    return keep

def test_nested_was():
    (x, same, nested, indices, flag), kwargs = seen[0]
    assert x.shape == (2, 3) and nested[0].shape == (4,) and nested[1]["a"].shape == (5,) and kwargs["k"].shape == (6,)
    assert same.tolist() == [2.0, 3.0] and indices.tolist() == [0, 1] and flag is True
    seen.clear()

@pytest.mark.gradcheck((500,), domain=(2.0, 5.0))
def test_domain():
    return keep

def test_domain_was():
    x = seen[0][0][0]
    assert 2.0 <= x.min() < 2.1 and 4.9 < x.max() <= 5.0
    seen.clear()

@pytest.mark.gradcheck((500,))
def test_normal():
    return keep

def test_normal_was():
    x = seen[0][0][0]
    assert abs(x.mean()) < 0.2 and abs(x.std() - 1) < 0.2
    seen.clear()

@pytest.mark.gradcheck(inputs=lambda: (torch.full((2,), 7.0), 3))
def test_made():
    return keep

def test_made_was():
    assert seen[0][0][0].tolist() == [7.0, 7.0] and seen[0][0][1] == 3
"""
    )
    result.assert_outcomes(passed=8)


def test_several_marks_are_several_items(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((3,))
@pytest.mark.gradcheck((2, 4), eps=1e-4)
@pytest.mark.gradcheck(())
def test_three(record_property):
    return Swish

@pytest.mark.gradcheck((3,), seed=1)
@pytest.mark.gradcheck((3,), seed=2)
def test_equal_shapes():
    return Doubled

@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.gradcheck((3, 4))
@pytest.mark.gradcheck((4,))
def test_crossed(bias):
    return Gated(4, 2, bias=bias)
""",
        "-v",
    )
    result.assert_outcomes(passed=7, failed=2)
    for name in ("test_three[[]3]", "test_three[[]2x4]", "test_three[[]scalar]", "test_crossed[[]True-3x4]"):
        result.stdout.fnmatch_lines([f"test_it.py::{name} PASSED*"])
    result.stdout.fnmatch_lines(["*equal_shapes[[]3-0] FAILED*", "*equal_shapes[[]3-1] FAILED*"])
    result.stdout.fnmatch_lines(["rerun: *equal_shapes*3-0*--gradcheck-seed=2", "rerun: *3-1*--gradcheck-seed=1"])
