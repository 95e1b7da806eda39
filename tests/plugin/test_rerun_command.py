"""The rerun command that a failure prints repeats it: the same item, the same numbers."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_gradcheck.subjects.devices import available

Suite = Callable[..., pytest.RunResult]

ABSENT = next(name for name in ("xpu", "mps", "cuda:99") if not available(name))
TESTS = """
@pytest.mark.gradcheck((3,))
class Wrong(Scaled):
    factor = 3.0

@pytest.mark.parametrize("factor", [2.5], ids=["two and a 'half'"])
def test_drawn_in_the_body(gradcheck, factor):
    gradcheck(Sign, factor * torch.randn(3))

class TestGroup:
    @pytest.mark.gradcheck((4,), seed=77)
    @pytest.mark.gradcheck((5,), seed=78)
    def test_seeded(self):
        return Doubled
"""


def told(result: pytest.RunResult) -> dict[str, list[str]]:
    """The lines that hold numbers, by the rerun command that follows them."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in (line.removeprefix("E").strip() for line in result.outlines):
        if "autograd " in line or line.startswith("input0 "):
            lines.append(line)
        elif line.startswith("computed in"):
            lines.append(re.sub(r"[\d.]+ s$", "", line))
        elif line.startswith("rerun: "):
            found[line.removeprefix("rerun: ")] = lines
            lines = []
    return found


def check_reruns(first: pytest.RunResult, pytester: pytest.Pytester, count: int) -> None:
    commands = told(first)
    assert len(commands) == count
    for command, numbers in commands.items():
        program, *options = shlex.split(command)
        again = pytester.runpytest_inprocess("-p", "no:hypothesispytest", *options)
        assert program == "pytest" and again.parseoutcomes() == {"failed": 1}
        assert told(again) == {command: numbers}


def test_from_the_root(suite: Suite, pytester: pytest.Pytester) -> None:
    check_reruns(suite(TESTS), pytester, 4)


def test_with_the_options_that_were_given(suite: Suite, pytester: pytest.Pytester) -> None:
    options = ["--gradcheck-eps=1e-4", "--gradcheck-bands=1e-6,1e-2", "--gradcheck-strict", "--gradcheck-seed=5"]
    result = suite(TESTS, *options, "--gradcheck-mode=central")
    result.stdout.fnmatch_lines(["*rerun: *Wrong --gradcheck --gradcheck-seed=5 *--gradcheck-strict*"])
    check_reruns(result, pytester, 4)


def test_with_two_devices(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(TESTS, "--gradcheck-device=cpu", f"--gradcheck-device={ABSENT}")
    result.assert_outcomes(failed=4, skipped=4)
    check_reruns(result, pytester, 4)


def test_from_a_subdirectory(suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\n")
    suite("")
    folder = pytester.mkdir("deep") / "down"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (pytester.path / "test_it.py").write_text((pytester.path / "test_it.py").read_text() + TESTS)
    result = pytester.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck", "../..")
    check_reruns(result, pytester, 4)


def test_a_layer_of_an_ordinary_module(pytester: pytest.Pytester, suite: Suite) -> None:
    suite("")
    production = "from pytest_gradcheck import marks\nfrom layers import Scaled\n@marks.gradcheck((3,))\n"
    pytester.makepyfile(production=f"{production}class Wrong(Scaled):\n    factor = 3.0\n")
    pytester.makeini("[pytest]\npythonpath = .\n")
    check_reruns(suite("", "--gradcheck-modules"), pytester, 1)


def test_in_a_shell_after_a_parallel_run(suite: Suite, pytester: pytest.Pytester) -> None:
    parallel = suite(TESTS, "-n2")
    parallel.stdout.fnmatch_lines(["gradcheck: 4 gradient checks: 4 WRONG"])
    assert told(parallel) == told(suite(TESTS))  # a worker prints what the main process would
    command = next(command for command in told(parallel) if "half" in command)
    python = shlex.quote(str(Path(sys.executable).parent))
    again = pytester.run("sh", "-c", f"PATH={python}:$PATH {command}")
    assert told(again) == {command: told(parallel)[command]}
