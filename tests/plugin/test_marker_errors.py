"""A wrong argument of a mark is an error of collection that has the node id."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

PLACES = {
    "a function": ("@pytest.mark.gradcheck((3,), {0})\ndef test_f():\n    return Swish", "test_it.py::test_f"),
    "a method": (
        "class TestC:\n    @pytest.mark.gradcheck((3,), {0})\n    def test_f(self):\n        return Swish",
        "test_it.py::TestC::test_f",
    ),
    "a test class": (
        "@pytest.mark.gradcheck((3,), {0})\nclass TestC:\n    def test_f(self):\n        return Swish",
        "test_it.py::TestC",
    ),
    "a module": (
        "pytestmark = pytest.mark.gradcheck((3,), {0})\ndef test_f():\n    return Swish",
        "test_it.py::test_f",
    ),
    "a parameter": (
        "@pytest.mark.parametrize('a', [pytest.param(1, marks=pytest.mark.gradcheck((3,), {0}))])\n"
        "def test_f(a):\n    return Swish",
        "test_it.py::test_f",
    ),
    "a layer": ("@pytest.mark.gradcheck((3,), {0})\nclass Layer(Scaled): pass", "test_it.py::Layer"),
    "production code": (
        "from pytest_gradcheck import marks\n@marks.gradcheck((3,), {0})\nclass Layer(Scaled): pass",
        "test_it.py::Layer",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_misspelt_argument_names_the_node_and_what_was_meant(suite: Suite, place: str) -> None:
    source, node = PLACES[place]
    result = suite(source.format("epss=1e-4"))
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [f"{node}: gradcheck has no argument 'epss' (did you mean 'eps'?); it takes *init*eps*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_it_is_found_without_the_option_too(suite: Suite) -> None:
    suite(PLACES["a function"][0].format("epss=1e-4"), gradcheck=False).assert_outcomes(errors=1)


ALONE = [place for place in PLACES if place != "a module"]


@pytest.mark.parametrize("place", ALONE)
def test_the_rest_of_the_file_is_collected_and_runs(suite: Suite, place: str) -> None:
    source, node = PLACES[place]
    others = "\n@pytest.mark.gradcheck((3,))\ndef test_marked():\n    return Swish\n\ndef test_plain(): pass\n"
    result = suite(source.format("epss=1e-4") + others, "--continue-on-collection-errors")
    result.assert_outcomes(passed=2, errors=1)
    lines = [f"{node}: gradcheck has no argument 'epss'*", "", "test_it.py:*: UsageProblem"]
    result.stdout.fnmatch_lines(lines, consecutive=True)


def test_a_test_beside_it_runs_by_its_name(suite: Suite) -> None:
    source = PLACES["a function"][0].format("epss=1e-4") + "\ndef test_plain(): pass\n"
    result = suite(source, "test_it.py::test_plain")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("place", ["a function", "a method", "a parameter", "a layer"])
@pytest.mark.parametrize("parameters", [["[1]"], ["[a/b.py::c-2]"], ["[1]", "[2]"], ["", "[1]"]])
def test_an_item_that_the_mark_would_make_is_asked_for(suite: Suite, place: str, parameters: list[str]) -> None:
    source, node = PLACES[place]
    asked = [node + each for each in parameters]
    result = suite(source.format("epss=1e-4") + "\ndef test_plain(): pass\n", *asked, "test_it.py::test_plain")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"{node}: gradcheck has no argument 'epss'*", "", "test_it.py:*: UsageProblem"])
    result.stderr.no_fnmatch_line("*not found*")
    result.assert_outcomes(errors=sum("[" in each for each in parameters))


def test_an_item_that_the_mark_would_make_is_asked_for_under_xdist(suite: Suite) -> None:
    source, node = PLACES["a parameter"]
    result = suite(source.format("epss=1e-4"), f"{node}[1]", "-n1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"{node}: gradcheck has no argument 'epss'*"])


def test_the_same_item_of_another_file_is_asked_for(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**{"other/test_it": "import pytest\n@pytest.mark.parametrize('a', [1])\ndef test_f(a): pass"})
    pytester.path.joinpath("other/__init__.py").touch()  # two modules called test_it
    source, _ = PLACES["a function"]
    result = suite(source.format("epss=1e-4"), "test_it.py", "other/test_it.py::test_f[1]")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_f*"])
    result.stdout.no_fnmatch_line("ERROR test_it.py::test_f[[]1]*")


@pytest.mark.parametrize("lines", ["pytestmark = pytest.mark.{0}\n", "@pytest.mark.{0}\nclass TestC:\n"])
@pytest.mark.parametrize("mark", ["gradcheck((3,), epss=1e-4)", "smoke_train(stepz=3)"])
def test_a_mark_of_many_tests_is_refused_once(suite: Suite, lines: str, mark: str) -> None:
    indent = "    " if "class" in lines else ""
    tests = "".join(f"{indent}def test_{name}(*_): return Swish\n" for name in "abc")
    suite(lines.format(mark) + tests).assert_outcomes(errors=1)


METHODS = {
    "a method": (
        "{0}\n    def forward(self, x): return x",
        "gradcheck marks a method, which needs an object*class Holder *",
    ),
    "a class method": (
        "{0}\n    @classmethod\n    def forward(cls, x): return x",
        "gradcheck marks a method, which needs*",
    ),
    "below it": (
        "@classmethod\n    {0}\n    def forward(cls, x): return x",
        "gradcheck marks a method, which needs an*",
    ),
    "a static method": (
        "{0}\n    @staticmethod\n    def forward(x): return x",
        "gradcheck marks a static method: mark a*",
    ),
    "a static method's own": (
        "@staticmethod\n    {0}\n    def forward(x): return x",
        "gradcheck marks a static method*",
    ),
    "a property": (
        "@property\n    {0}\n    def forward(self): return 1",
        "gradcheck marks a method, which needs*Holder*",
    ),
}


@pytest.mark.parametrize("mark", ["@marks.gradcheck((3,))", "@pytest.mark.gradcheck((3,))"])
@pytest.mark.parametrize("case", METHODS)
def test_a_mark_on_a_method_is_refused_beside_its_siblings(suite: Suite, case: str, mark: str) -> None:
    body, said = METHODS[case]
    source = f"""
from pytest_gradcheck import marks

class Holder(nn.Module):
    {body.format(mark)}

    @marks.gradcheck((3,))
    class Inner(Swish): pass

def test_plain(): pass
"""
    result = suite(source, "--continue-on-collection-errors")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([f"test_it.py::Holder.forward: {said}"])


def test_a_mark_on_a_method_of_a_mixin_waits_for_the_test_class(suite: Suite) -> None:
    result = suite("""
class Mixin:
    @pytest.mark.gradcheck((3,))
    def test_it(self):
        return Swish

class TestSwish(Mixin):
    pass
""")
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("thing", ["nn.Linear(3, 2)", "torch.sin", "functools.partial(torch.sin)"])
def test_a_production_mark_on_an_object_is_no_mark_that_nobody_finds(suite: Suite, thing: str) -> None:
    result = suite(f"import functools\nfrom pytest_gradcheck import marks\nmarks.gradcheck((4, 3))({thing})\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E   TypeError: gradcheck marks a class or a function, not a *: return it from a *"])


def test_a_file_that_cannot_be_imported_stays_pytests_own_error(suite: Suite) -> None:
    result = suite("@pytest.mark.gradcheck((3,), eps=undefined)\ndef test_f(): pass\ndef test_g(): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E   NameError: name 'undefined' is not defined"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("eps=-1", "gradcheck: eps must be a positive number, not -1"),
        (
            "mode='centra'",
            "gradcheck: mode must be one of auto, elementwise, projection, central, not 'centra'*'central'*",
        ),
        ("device='cudda'", "gradcheck: device must be one of cpu, *, not 'cudda' (did you mean 'cuda'?)"),
        ("domain=(3, 2)", "gradcheck: domain= must rise, but 3 is not below 2"),
    ],
)
def test_a_bad_value_names_the_argument(suite: Suite, arguments: str, said: str) -> None:
    result = suite(PLACES["a function"][0].format(arguments))
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"test_it.py::test_f: {said}"])


def test_under_xdist_it_is_an_error_of_collection_as_well(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_good="def test_good(): pass")
    sources = [source.format("epss=1e-4") for source, _ in PLACES.values()]
    for number, source in enumerate(sources[1:]):
        header = "import pytest\nfrom layers import Scaled, Swish\n"
        pytester.path.joinpath(f"test_bad{number}.py").write_text(header + source)
    result = suite(sources[0], "-n2")
    result.assert_outcomes(passed=1, errors=len(sources))
    result.stdout.fnmatch_lines_random(
        [
            "test_it.py::test_f: gradcheck has no argument 'epss' (did you mean 'eps'?)*",
            "test_bad*.py::Layer: gradcheck*",
        ]
    )
    for stream in (result.stdout, result.stderr):
        stream.no_fnmatch_line("*INTERNALERROR*")
