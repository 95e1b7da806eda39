"""The `smoke_train` marker in a pytest run of its own."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.smoke_marks import check

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

HEAD = """
import math, pytest, torch
from torch import nn

class Net(nn.Linear):
    def __init__(self, classes=10):
        super().__init__(784, classes)
    def forward(self, x):
        return super().forward(x.flatten(1))

class Broken(Net):
    def forward(self, x):
        return super().forward(x) * math.nan

PAIRS = [(torch.rand(4, 784), torch.tensor([0, 1, 2, 0]))]
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("FASHION_MNIST_ROOT", raising=False)
    return lambda body, *options: (
        pytester.makepyfile(HEAD + body),
        pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", *options),
    )[1]


def test_whatever_a_marked_test_returns_is_trained(run: Run) -> None:
    result = run("""
@pytest.mark.smoke_train(lr=0.1, steps=3)
def test_module():
    return Net()

@pytest.mark.smoke_train(PAIRS, steps=3)
def test_factory():
    return lambda: Net(3)

@pytest.mark.smoke_train(batches=lambda: PAIRS, steps=2, seeds=(0, 1))
def test_class():
    return Net

@pytest.mark.smoke_train(steps=3)
def test_with_batches():
    return Net(3), PAIRS

@pytest.mark.smoke_train(PAIRS, init=(3,), steps=2)
def test_constructed():
    return Net

@pytest.fixture
def classes():
    return 3

@pytest.mark.parametrize("rate", [0.1, 0.2])
@pytest.mark.smoke_train(PAIRS, steps=2)
def test_fixtures_and_parameters(classes, rate):
    return Net(classes)
""")
    result.assert_outcomes(passed=7)


def test_a_failure_shows_the_runs_text_and_no_traceback(run: Run) -> None:
    result = run("""
@pytest.mark.smoke_train(PAIRS, remedies=None)
def test_broken():
    return Broken(3)
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "Broken failed at step 0: in forward, aten.mul in the model itself gives nan",
            'rerun: pytest "*::test_broken"',
        ]
    )
    result.stdout.no_fnmatch_line("*smoke_marks.py*")


def test_a_failure_is_put_where_the_test_or_the_class_stands(run: Run, pytester: pytest.Pytester) -> None:
    body = """
@pytest.mark.smoke_train(PAIRS, remedies=None)
def test_broken():
    return Broken(3)

@pytest.mark.smoke_train(PAIRS, remedies=None, init=(3,))
class Other(Broken): pass
"""
    whole = (HEAD + body).strip().splitlines()
    lines = [number for number, line in enumerate(whole, 1) if line.startswith("@pytest.mark.smoke_train")]
    result = run(body, "--tb=line")
    result.assert_outcomes(failed=2)
    (path,) = pytester.path.glob("test_*.py")
    said = re.findall(rf"^{re.escape(str(path))}:(\d+): \S+TrainingFailure: ", result.stdout.str(), re.MULTILINE)
    assert [int(said[0]), int(said[1])] in ([lines[0], lines[1]], [lines[0], lines[1] + 1])  # a class: by its decorator


def test_a_class_that_cannot_be_built_is_told_before_it_is_trained(run: Run) -> None:
    result = run(
        """
@pytest.mark.smoke_train(PAIRS)
class Needy(nn.Linear):
    pass

@pytest.mark.smoke_train(PAIRS, init=(3, 4, 5, 6, 7, 8))
def test_returned():
    return nn.Linear

def test_plain():
    pass
""",
        "--continue-on-collection-errors",
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*::Needy: smoke_train: Needy(*cannot be built from init=(), init_kwargs={}: missing*'in_features'",
            "smoke_train: Linear(*cannot be built from init=(3, 4, 5, 6, 7, 8), init_kwargs={}: too many*",
        ]
    )
    result.stdout.no_fnmatch_line("*plan.py*")


def test_a_marked_class_is_a_test_of_its_own_and_its_subclasses_are_not(run: Run) -> None:
    result = run(
        """
@pytest.mark.smoke_train(PAIRS, init_kwargs={"classes": 3}, steps=2)
class Marked(Net):
    pass

class Inherits(Marked):
    pass

Alias = Net

@pytest.mark.skip(reason="not today")
@pytest.mark.smoke_train
class Skipped(Net):
    pass
""",
        "-v",
    )
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*::Marked PASSED*", "*not today*"])


def test_a_class_may_carry_both_marks(run: Run) -> None:
    result = run(
        """
@pytest.mark.gradcheck((4, 784), init=(3,))
@pytest.mark.smoke_train(PAIRS, init=(3,), steps=2)
class Both(Net):
    pass
""",
        "--gradcheck",
    )
    result.assert_outcomes(passed=2)


def test_it_runs_once_per_device(run: Run) -> None:
    body = """
@pytest.mark.smoke_train(PAIRS, steps=2)
def test_it():
    return Net(3)

@pytest.mark.smoke_train(PAIRS, init=(3,), steps=2)
class Marked(Net):
    pass
"""
    result = run(body, "--gradcheck-device=cpu", "--gradcheck-device=xpu", "-v")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["*::test_it?cpu? PASSED*", "*::Marked?cpu? PASSED*"])


def test_remedies_can_be_forced_from_the_command_line_and_the_ini(run: Run, pytester: pytest.Pytester) -> None:
    body = """
@pytest.mark.smoke_train(PAIRS, lr=1e38, steps=4, remedies=None)
def test_it():
    return lambda: Net(3)
"""
    run(body).stdout.no_fnmatch_line("tried, one change each:")
    run(body, "--smoke-remedies").stdout.fnmatch_lines(["tried, one change each:", "  learning rate / 10 *"])
    pytester.makeini("[pytest]\nsmoke_remedies = true\n")
    run(body).stdout.fnmatch_lines(["tried, one change each:"])


@pytest.mark.parametrize(
    "body,said",
    [
        ("@pytest.mark.smoke_train\ndef test_it(): pass", "test_it is marked with smoke_train but returned None"),
        (
            "@pytest.mark.smoke_train(PAIRS)\ndef test_it(): return Net(3), PAIRS",
            "test_it returned batches, but its smoke_train mark names data too",
        ),
        ("@pytest.mark.smoke_train(stepz=3)\ndef test_it(): return Net()", "*has no argument 'stepz'*'steps'*"),
        (
            "@pytest.mark.gradcheck((2,))\n@pytest.mark.smoke_train\ndef test_it(): return Net()",
            "*either a smoke_train mark or a gradcheck mark*",
        ),
        ("@pytest.mark.smoke_train(stepz=3)\nclass Marked(Net): pass", "*::Marked*has no argument 'stepz'*"),
    ],
)
def test_wrong_marks_are_one_clear_error(run: Run, body: str, said: str) -> None:
    result = run(body)
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{said}*"])


@pytest.mark.parametrize(
    "args,kwargs,said",
    [
        ((1, 2), {}, "takes the batches by position and everything else by name, but got 2"),
        ((1,), {"size": 64}, "size= is about Fashion-MNIST, but batches are given"),
        ((), {"init": 3}, "init= takes a tuple of constructor arguments, not 3"),
        ((), {"init_kwargs": 3}, "init_kwargs= takes a dict, not 3"),
    ],
)
def test_arguments_are_checked_without_torch(args: tuple[int, ...], kwargs: dict[str, int], said: str) -> None:
    with pytest.raises(UsageProblem, match=f"smoke_train.*{said}"):
        check(args, kwargs)


def test_the_marker_is_listed(run: Run) -> None:
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.smoke_train(batches=None, *"])
