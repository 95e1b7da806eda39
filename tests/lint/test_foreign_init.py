"""Init functions of other files: what they fill in the modules that a file gives them, and what is said of it."""

from __future__ import annotations

from textwrap import dedent

import pytest
from gradlint.engine import lint_source
from gradlint.loader import load
from gradlint.rules import RULES
from gradlint.semantics.file_facts import file_facts
from gradlint.semantics.project import ProjectIndex
from gradlint.semantics.project_cst import unit_facts
from gradlint.settings import Settings
from gradlint.source import Source

from tests.lint.linting import unit

INIT = '''
    import torch.nn as N
    from torch.nn import init as I
    STD = 0.5
    def xavier(m):
        if isinstance(m, N.Linear):
            I.xavier_uniform_(m.weight)
    def tiny(m):
        """Fills with small numbers."""
        if type(m) is N.Linear:
            m.weight.data.normal_(0, 0.001)
    def computed(m):
        I.normal_(m.weight, std=STD)
    def ones(m):
        I.ones_(m.weight)
    def zeros(m):
        if isinstance(m, N.Linear):
            I.zeros_(m.weight)
    def twos(m):
        if isinstance(m, N.Linear):
            I.constant_(m.weight, 2)
    def other(m):
        return m
    class Kept:
        def fill(self, m):
            I.zeros_(m.weight)
'''
MODEL = """
    import torch
    from functools import partial
    from torch import nn
    from . import start
    from .start import xavier, tiny, computed, ones, zeros, twos, other
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10),
            )
            {init}
        def forward(self, x):
            return self.body(x)
    {after}
"""


def project() -> ProjectIndex:
    facts = file_facts(dedent(INIT), "pkg.start")
    assert facts is not None
    return ProjectIndex.of([facts])


def found(*codes: str, init: str = "pass", after: str = "pass") -> list[tuple[str, int, str]]:
    text = dedent(MODEL).replace("{init}", init).replace("{after}", after)
    rules = load(info for info in RULES if info.code in codes)
    violations = lint_source(Source("net.py", text, module="pkg.net"), Settings(), rules, project())
    assert all(violation.fix is None for violation in violations)
    return [(violation.code, violation.range.start.line, violation.message) for violation in violations]


@pytest.mark.parametrize(
    ("init", "after", "line"),
    [
        ("self.apply(xavier)", "pass", 14),
        ("self.apply(start.xavier)", "pass", 14),
        ("self.apply(partial(xavier))", "pass", 14),
        ("pass", "net = Net()\nnet.apply(xavier)", 18),
    ],
)
def test_xavier_of_another_file_is_told_where_it_is_applied(init: str, after: str, line: int) -> None:
    ((code, place, message),) = found("GRD101", init=init, after=after)
    assert (code, place) == ("GRD101", line)
    assert message.startswith("`xavier_uniform_` (gain 1) (in `pkg.start.xavier`) fills 5 ReLU layers")


def test_a_tiny_deviation_of_another_file() -> None:
    ((code, place, message),) = found("GRD103", init="self.apply(tiny)")
    assert (code, place) == ("GRD103", 14)
    assert message.startswith("a standard deviation of 0.001 (in `pkg.start.tiny`) in 5 layers")


@pytest.mark.parametrize(("function", "value"), [("ones", 1), ("zeros", 0)])
def test_constants_of_another_file(function: str, value: int) -> None:
    ((code, place, message),) = found("GRD102", init=f"self.apply({function})")
    assert (code, place) == ("GRD102", 14)
    assert message.startswith(f"every weight is {value} (in `pkg.start.{function}`): all 64 units compute the same")


def test_what_the_other_file_is_told_is_not_told_twice() -> None:
    assert found("GRD102", init="self.apply(twos)") == []


@pytest.mark.parametrize("init", ["self.apply(other)", "self.apply(computed)", "self.apply(unknown)", "xavier(3)"])
def test_what_is_not_known_is_silent(init: str) -> None:
    assert found("GRD101", "GRD103", init=init) == []


def test_what_fills_a_layer_last_counts() -> None:
    last = "self.apply(xavier)\n        for m in self.modules():\n            if isinstance(m, nn.Linear):\n"
    later = last + "                nn.init.kaiming_uniform_(m.weight)"
    assert found("GRD101", init=later) == []


def test_libcst_gives_the_same_texts_as_ast() -> None:
    facts = file_facts(dedent(INIT).lstrip("\n"), "pkg.start")
    assert facts is not None
    assert set(facts.inits) == {"xavier", "tiny", "computed", "ones", "zeros", "twos"}
    assert unit_facts(unit(INIT, module="pkg.start")).inits == facts.inits
