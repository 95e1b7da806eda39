"""The marker on layers and Functions: the class itself is an item."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

OWN = """
@pytest.mark.gradcheck((8, 16), init=(16, 4))
class GatedLinear(Gated):
    pass

@pytest.mark.gradcheck((5,))
class Square(Scaled):
    pass

@pytest.mark.gradcheck((5,))
class Wrong(Scaled):
    factor = -1.0
"""


def test_a_layer_and_a_function_are_one_item_each(suite: Suite) -> None:
    result = suite(OWN, "-v")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::GatedLinear PASSED*", "test_it.py::Square PASSED*", "test_it.py::Wrong FAILED*"]
    )


def test_a_node_id_selects_a_class(suite: Suite) -> None:
    suite(OWN, "test_it.py::Square").assert_outcomes(passed=1)
    suite(OWN, "-k", "gatedlinear").assert_outcomes(passed=1, deselected=2)


def test_only_the_class_that_carries_the_mark_in_its_own_module_is_an_item(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        production="import pytest\nfrom layers import Scaled\n@pytest.mark.gradcheck((3,))\nclass Far(Scaled): pass\n"
    )
    result = suite(
        """
from production import Far

@pytest.mark.gradcheck((3,))
class Base(Scaled):
    pass

class Inherits(Base):
    factor = 2.0

@pytest.mark.slow
class InheritsWithAnotherMark(Base):
    factor = 2.0

Alias = Base

class AAA(Scaled):
    pass
""",
        "-v",
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["test_it.py::Base PASSED*"])


def test_an_alias_that_comes_first_in_the_alphabet_or_is_selected_makes_no_item(suite: Suite) -> None:
    source = "@pytest.mark.gradcheck((3,))\nclass Named(Scaled): pass\nAAlias = Named\n"
    suite(source, "test_it.py::Named").assert_outcomes(passed=1)
    result = suite(source, "test_it.py::AAlias")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found:*AAlias*"])


def test_other_marks_of_the_class_apply(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.xfail(raises=GradientMismatch, strict=True)
@pytest.mark.gradcheck((3,))
class WrongOnPurpose(Scaled):
    factor = 2.0

@pytest.mark.gradcheck((3,))
@pytest.mark.xfail(raises=GradientMismatch, strict=True)
class RightByMistake(Scaled):
    pass

@pytest.mark.gradcheck((3,))
@pytest.mark.skipif(True, reason="on holiday")
class Away(Scaled):
    factor = 2.0

@pytest.fixture
def noted(record_property):
    record_property("noted", "yes")
    print("fixture ran")

@pytest.mark.usefixtures("noted")
@pytest.mark.gradcheck((3,))
class WithFixture(Scaled):
    pass
""",
        "-rAs",
    )
    result.assert_outcomes(passed=1, failed=1, xfailed=1, skipped=1)
    result.stdout.fnmatch_lines_random(["*on holiday*", "*XPASS(strict)*", "fixture ran"])


def test_several_marks_are_several_items(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((3,))
@pytest.mark.gradcheck((2, 4))
class Square(Scaled):
    pass

@pytest.mark.gradcheck((2, 4), init=(4, 2))
@pytest.mark.gradcheck((2, 6), init=(6, 2), init_kwargs={"bias": False})
class Layer(Gated):
    pass
""",
        "-v",
    )
    result.assert_outcomes(passed=4)
    for name in ("Square[[]3]", "Square[[]2x4]", "Layer[[]2x4]", "Layer[[]2x6]"):
        result.stdout.fnmatch_lines([f"test_it.py::{name} PASSED*"])


def test_a_class_inside_a_test_class_is_an_item(suite: Suite) -> None:
    result = suite(
        """
class TestGroup:
    @pytest.mark.gradcheck((3,))
    class Inner(Scaled):
        pass

    def test_plain(self):
        pass
""",
        "-v",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_it.py::TestGroup::Inner PASSED*"])


def test_a_class_that_is_neither_keeps_its_meaning(suite: Suite) -> None:
    result = suite(
        """
@pytest.mark.gradcheck((3,))
class TestPlain:
    def test_swish(self):
        return Swish

@pytest.mark.gradcheck((3,))
class Bystander:
    pass
""",
        "-v",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::TestPlain::test_swish PASSED*"])


@pytest.mark.parametrize(
    ("decorated", "said"),
    [
        ("@pytest.mark.gradcheck((3,), init=(3,))\nclass Layer(Scaled): pass", "init builds an nn.Module*Layer*"),
        ("@pytest.mark.gradcheck((3,), init_kwargs={'a': 1})\nclass Layer(Scaled): pass", "init builds an nn.Module*"),
        ("@pytest.mark.gradcheck((3, 4))\nclass Layer(Gated): pass", "*missing a required argument: 'wide'*"),
        ("@pytest.mark.gradcheck((3, 4), init=(4, 2, 1, 1))\nclass Layer(Gated): pass", "*too many positional*"),
    ],
)
def test_an_init_that_cannot_work_is_an_error_of_collection(suite: Suite, decorated: str, said: str) -> None:
    result = suite(decorated)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_it.py::Layer: gradcheck: {said}"])


def test_a_constructor_that_raises_is_one_clear_error(suite: Suite) -> None:
    result = suite("@pytest.mark.gradcheck((3, 4), init=(4, -2))\nclass Layer(Gated): pass")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Layer cannot be built with init=(4, -2): RuntimeError*"])
