"""Every option resolves call > marker > command line > ini > default."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_gradcheck.settings import CHECKS

Suite = Callable[..., pytest.RunResult]

#: Per option: what the default, the ini, the command line, the marker and the call resolve to.
VALUES: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "eps": (1e-5, 1e-3, 2e-3, 3e-3, 4e-3),
    "bands": ([1e-5, 1e-3], [1e-6, 1e-1], [2e-6, 2e-1], [3e-6, 3e-1], [4e-6, 4e-1]),
    "mode": ("auto", "elementwise", "central", "projection", "auto"),
    "order": (None, 1, 2, 1, 2),
    "dtype": ("float64", "float32", "float64", "float32", "float64"),
    "device": (None, "cpu:0", "cpu", "cpu:0", "cpu"),
    "strict": (False, True, False, True, False),
    "budget": (None, 100.0, 200.0, 300.0, 400.0),
    "seed": (None, 11, 22, 33, 44),
    "checks": (
        list(CHECKS),
        ["vjp"],
        ["determinism", "vjp"],
        ["vjp", "cotangent"],
        ["vjp", "second-order"],
    ),
}
LAYERS = ("default", "ini", "command line", "marker", "call")
TESTS = """
import json
from pathlib import Path

def keep(name, gradcheck, **options):
    try:
        report = gradcheck(torch.sin, torch.randn(3), **options)
    except GradientMismatch as mismatch:
        report = mismatch.report
    Path(name).write_text(json.dumps(report.settings.to_dict()))

def test_plain(gradcheck):
    keep("plain.json", gradcheck)

@pytest.mark.gradcheck(**{marker!r})
def test_marked(gradcheck):
    keep("marked.json", gradcheck)

@pytest.mark.gradcheck(**{marker!r})
def test_called(gradcheck):
    keep("called.json", gradcheck, **{call!r})
"""


def value(name: str, layer: str) -> Any:
    return VALUES[name][LAYERS.index(layer)]


def spelled(found: Any) -> str:
    return ",".join(map(str, found)) if isinstance(found, list) else str(found)


@pytest.fixture
def resolved(suite: Suite, pytester: pytest.Pytester) -> Callable[..., dict[str, dict[str, Any]]]:
    """The settings that a plain, a marked and a calling test saw, for given options."""

    def run(*options: str) -> dict[str, dict[str, Any]]:
        marker, call = ({name: value(name, layer) for name in VALUES} for layer in ("marker", "call"))
        suite(TESTS.replace("{marker!r}", repr(marker)).replace("{call!r}", repr(call)), *options)
        return {
            name: json.loads(pytester.path.joinpath(f"{name}.json").read_text())
            for name in ("plain", "marked", "called")
        }

    return run


def ini_of(pytester: pytest.Pytester) -> None:
    lines = [f"gradcheck_{name} = {spelled(value(name, 'ini'))}" for name in VALUES]
    pytester.makeini("\n".join(["[pytest]", *lines]))


def options_of() -> list[str]:
    options = [f"--gradcheck-{name}={spelled(value(name, 'command line'))}" for name in VALUES if name != "strict"]
    return [*options, "--no-gradcheck-strict"]


def expected(layer: str) -> dict[str, Any]:
    return {name: value(name, layer) for name in VALUES}


def test_the_default(resolved: Callable[..., dict[str, dict[str, Any]]]) -> None:
    found = resolved()["plain"]
    assert 0 <= found.pop("seed") < 2**32  # made of the node id
    assert found == {name: wanted for name, wanted in expected("default").items() if name != "seed"}


def test_ini_over_default(resolved: Callable[..., dict[str, dict[str, Any]]], pytester: pytest.Pytester) -> None:
    ini_of(pytester)
    assert resolved()["plain"] == expected("ini")


def test_command_line_over_ini_marker_over_command_line_call_over_marker(
    resolved: Callable[..., dict[str, dict[str, Any]]], pytester: pytest.Pytester
) -> None:
    ini_of(pytester)
    found = resolved(*options_of())
    assert found["plain"] == expected("command line")
    assert found["marked"] == expected("marker")
    assert found["called"] == expected("call")
