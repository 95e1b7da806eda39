"""The same seed gives the same report in any order and under xdist; the global generators are left as found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Suite = Callable[..., pytest.RunResult]

#: Every way of checking, with numbers drawn in the test's body, its fixture, by the marker, and inside the forward.
TESTS = """
import random
import numpy as np

@pytest.fixture
def drawn():
    return torch.randn(3) + random.random() + np.random.rand()

def test_fixture(gradcheck, drawn):
    gradcheck(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)), drawn)

@pytest.mark.gradcheck
def test_returned(drawn):
    return Gated(3, 2), drawn + torch.randn(3)

@pytest.mark.gradcheck((3, 4))
def test_marked():
    return Gated(4, 2)

@pytest.mark.gradcheck((3, 4), init=(4, 2))
class Layer(Gated):
    pass

@pytest.mark.gradcheck((3, 4))
class Wrong(Scaled):
    factor = 3.0

@pytest.mark.gradcheck((40, 40))
@pytest.mark.gradcheck((2,))
def test_twice():
    return Slightly
"""
#: Keeps every report by node id; `--backwards` runs the items from the last to the first.
CONFTEST = """
import json
from pathlib import Path
import pytest
from pytest_gradcheck import checking

def pytest_addoption(parser):
    parser.addoption("--backwards", action="store_true")

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.getoption("--backwards"):
        items.reverse()

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    from pytest_gradcheck import engine
    real = engine.run
    def kept(*args, **kwargs):
        report = real(*args, **kwargs)
        name = item.nodeid.replace("/", "_").replace(":", "_")
        told = report.to_dict() | {"seconds": 0}
        Path(f"{name}.json").write_text(json.dumps([item.nodeid, told], sort_keys=True))
        return report
    engine.run = kept
    try:
        return (yield)
    finally:
        engine.run = real
"""

Reports = dict[str, dict[str, Any]]


@pytest.fixture
def reports(suite: Suite, pytester: pytest.Pytester) -> Callable[..., Reports]:
    def run(*options: str) -> Reports:
        pytester.makeconftest(CONFTEST)
        for old in pytester.path.glob("*.json"):
            old.unlink()
        suite(TESTS, *options).assert_outcomes(passed=4, failed=3)
        return dict(json.loads(path.read_text()) for path in pytester.path.glob("*.json"))

    return run


def test_in_any_order_and_in_parallel(reports: Callable[..., Reports]) -> None:
    first = reports()
    assert len(first) == 7 and len({told["seed"] for told in first.values()}) == 7  # a seed for every node id
    assert reports("--backwards", "-p", "no:randomly") == first
    assert reports("-n2") == first


def test_another_seed_gives_other_numbers(reports: Callable[..., Reports]) -> None:
    first, second, again = reports("--gradcheck-seed=1"), reports("--gradcheck-seed=2"), reports("--gradcheck-seed=1")
    assert first == again
    for node, told in first.items():
        assert told["seed"] == 1 and second[node]["seed"] == 2
        assert told["tensors"] != second[node]["tensors"], node


def test_an_item_alone_gives_the_same_report(
    suite: Suite, reports: Callable[..., Reports], pytester: pytest.Pytester
) -> None:
    first = reports()
    for old in pytester.path.glob("*.json"):
        old.unlink()
    suite(TESTS, "test_it.py::test_returned")
    (path,) = pytester.path.glob("*.json")
    node, told = json.loads(path.read_text())
    assert told == first[node]


def test_the_global_generators_are_left_as_found(suite: Suite) -> None:
    result = suite(
        """
import random
import numpy as np

def states():
    return torch.get_rng_state().tolist(), random.getstate(), [*map(str, np.random.get_state())]

kept = []

def test_before():
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    kept.append(states())

def test_fixture(gradcheck):
    before = states()
    gradcheck(nn.Dropout(0.5), torch.ones(4))
    assert states() == before  # a check draws nothing from the test's own numbers
    torch.randn(3), random.random(), np.random.rand()

@pytest.mark.gradcheck((3,))
def test_wrong():
    torch.randn(3), random.random(), np.random.rand()
    return Doubled

@pytest.mark.gradcheck((3, 4), init=(4, 2))
class Layer(Gated):
    pass

def test_after():
    assert states() == kept[0]
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=4, failed=1)
