"""`--gradcheck-report`: what a run of pytest writes, under pytest-xdist too, after Ctrl-C and where writing fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck.model import GradientFlow, Report, TrainingReport
from pytest_gradcheck.model.session import SessionReport
from tests.plugin.conftest import *  # noqa: F403  the inner runs of the plugin's tests
from tests.plugin.conftest import QUICK, Suite

TESTS = """
@pytest.mark.gradcheck((4, 3))
def test_right():
    return Swish

@pytest.mark.gradcheck((4, 3))
def test_wrong():
    return Doubled

@pytest.mark.xfail(raises=GradientMismatch, strict=True)
@pytest.mark.gradcheck((4, 3))
def test_wrong_on_purpose():
    return Doubled

@pytest.mark.skip(reason="not today <b>")
@pytest.mark.gradcheck((4, 3))
def test_skipped():
    return Swish

@pytest.mark.gradcheck((4, 3))
def test_of_no_subject():
    return nn.Linear(5, 5)

def test_twice(gradcheck):
    gradcheck(Swish, torch.randn(3))
    gradcheck(Swish, torch.randn(2, 2))

def test_trained(smoke_train):
    batch = torch.randn(8, 4), torch.randint(0, 2, (8,))
    smoke_train(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), [batch], steps=3)

def test_flow(gradient_flow):
    gradient_flow(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), (torch.randn(8, 4), torch.randint(0, 2, (8,))))

def test_ordinary():
    assert False
"""


def read(path: Path) -> SessionReport:
    return SessionReport.from_dict(json.loads(path.read_text()))


def entries(path: Path) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for entry in read(path).entries:
        row = (entry.kind, entry.outcome, entry.status)
        found.setdefault(entry.id.partition("::")[2], []).append(row)
    return found


EXPECTED = {
    "test_right": [("gradient", "passed", "GOOD")],
    "test_wrong": [("gradient", "failed", "WRONG")],
    "test_wrong_on_purpose": [("gradient", "xfailed", "WRONG")],
    "test_skipped": [("none", "skipped", "SKIPPED")],
    "test_of_no_subject": [("none", "failed", "ERROR")],
    "test_twice": [("gradient", "passed", "GOOD")] * 2,
    "test_trained": [("training", "passed", "PASSED")],
    "test_flow": [("flow", "passed", "PASSED")],
}


def test_every_check_and_run_is_in_the_report(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(TESTS, "--gradcheck-report=out/report.json")
    result.assert_outcomes(passed=4, failed=3, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(["gradcheck: report written to out/report.json"])
    report = read(pytester.path / "out" / "report.json")
    assert entries(pytester.path / "out" / "report.json") == EXPECTED
    assert {"python", "torch", "threads", "pytest", "pytest-gradcheck"} <= set(report.environment)
    assert report.command is not None and "--gradcheck-report=out/report.json" in report.command
    assert not report.interrupted and report.seconds > 0
    by_name = {entry.id.partition("::")[2]: entry for entry in report.entries}
    assert by_name["test_skipped"].message == "not today <b>"
    assert "Linear raised RuntimeError in its forward on (4, 3)" in str(by_name["test_of_no_subject"].message)
    wrong, run, flow = (by_name[name].report for name in ("test_wrong", "test_trained", "test_flow"))
    assert isinstance(wrong, Report) and isinstance(run, TrainingReport) and isinstance(flow, GradientFlow)
    assert wrong.rerun is not None and wrong.rerun.startswith("pytest test_it.py::test_wrong --gradcheck")
    assert len(run.loss) == 3


def test_measurements_for_the_pictures_are_there(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(TESTS, "--gradcheck-report=report.json", "-k", "right or test_wrong")
    reports = {entry.id.partition("::")[2]: entry.report for entry in read(pytester.path / "report.json").entries}
    right, wrong = reports["test_right"], reports["test_wrong"]
    assert isinstance(right, Report) and isinstance(wrong, Report)
    assert right.sweep is not None and right.tensors[0].elements is not None and right.tensors[0].sweep is None
    assert len(right.tensors[0].elements.positions) == 12
    swept, worst = wrong.tensors[0].sweep, wrong.tensors[0].worst
    assert swept is not None and worst is not None
    assert swept.where == f"input0{list(worst.index)}"
    assert swept.autograd == pytest.approx(worst.autograd) and swept.numeric == pytest.approx(worst.numeric)
    assert len(swept.steps) == len(swept.quotients) > 20
    best = min(abs(quotient - worst.numeric) for quotient in swept.quotients)
    assert best < 1e-6 * abs(worst.numeric)


def test_a_report_changes_nothing_about_the_checks(suite: Suite, pytester: pytest.Pytester) -> None:
    own = """
@pytest.mark.gradcheck((4, 3))
def test_wrong():
    return Doubled

def test_calls(gradcheck, record_property):
    print("calls", gradcheck(Swish, torch.ones(3)).forward_calls)
"""
    plain = suite(own, "-s")
    reported = suite(own, "-s", "--gradcheck-report=report.json")
    for start in ("calls ", "input0", "computed in"):
        texts = [next(line for line in run.outlines if start in line) for run in (plain, reported)]
        assert texts[0].partition(" in 0.")[0] == texts[1].partition(" in 0.")[0]


def test_workers_send_theirs_to_the_controller(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(TESTS, "--gradcheck-report=report.json", "-n2")
    result.assert_outcomes(passed=4, failed=3, skipped=1, xfailed=1)
    report = read(pytester.path / "report.json")
    assert entries(pytester.path / "report.json") == EXPECTED
    assert {entry.worker for entry in report.entries} <= {"gw0", "gw1"} and "torch" in report.environment
    assert [path.name for path in pytester.path.glob("*report*")] == ["report.json"]


def test_html_and_json_from_the_ini_file_and_the_command_line_wins(suite: Suite, pytester: pytest.Pytester) -> None:
    pytest.importorskip("matplotlib")
    pytester.makeini("[pytest]\ngradcheck_report = out/a.html\n  out/b.json\n")
    suite(TESTS, "-k", "right")
    assert "gradients of Swish are GOOD" in (pytester.path / "out/a.html").read_text()
    assert len(read(pytester.path / "out/b.json").entries) == 1
    (pytester.path / "out/b.json").unlink()
    suite(TESTS, "-k", "right", "--gradcheck-report=c.json")
    assert (pytester.path / "c.json").exists() and not (pytester.path / "out/b.json").exists()


def test_what_could_not_be_collected_is_named(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_broken="raise RuntimeError('no such thing')")
    suite(TESTS, "--gradcheck-report=report.json", "--continue-on-collection-errors", "-k", "right or broken")
    by_id = {entry.id: entry for entry in read(pytester.path / "report.json").entries}
    assert by_id["test_broken.py"].outcome == "error" and "no such thing" in str(by_id["test_broken.py"].message)


def test_without_checks_nothing_is_loaded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="def test_a(): pass",
        probe="""
import sys, pytest
pytest.main(["-q", "-p", "no:hypothesispytest", "test_it.py", *sys.argv[1:]])
print("loaded", sorted({"torch", "numpy", "matplotlib", "jinja2", "pytest_gradcheck.reporting"} & set(sys.modules)))
""",
    )
    assert pytester.run(sys.executable, "probe.py").outlines[-1] == "loaded []"
    asked = pytester.run(sys.executable, "probe.py", "--gradcheck-report=report.json")
    assert asked.outlines[-1] == "loaded ['pytest_gradcheck.reporting']"
    assert read(pytester.path / "report.json").entries == ()


@pytest.mark.parametrize("name", ["report.txt", "folder.html", "test_it.py/report.html"])
def test_an_impossible_path_is_refused_before_anything_runs(suite: Suite, pytester: pytest.Pytester, name: str) -> None:
    pytester.mkdir("folder.html")
    result = suite(TESTS, f"--gradcheck-report={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --gradcheck-report *{name}: *"])
    assert "test session starts" not in result.stdout.str()


def test_without_the_extra_one_sentence_says_so_and_the_json_is_there(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "jinja2" else real(name, *rest)

def pytest_unconfigure():
    importlib.util.find_spec = real
"""
    )
    result = suite(TESTS, "-k", "right", "--gradcheck-report=report.html")
    assert result.ret == 0
    install = "pip install 'pytest-gradcheck?report?'"
    result.stdout.fnmatch_lines(
        [
            f"gradcheck: an HTML report needs jinja2, which is not installed: {install}; JSON is written instead",
            f"gradcheck: report written to report.json; the HTML needs jinja2, which is not installed: {install}, then "
            "python -m pytest_gradcheck render report.json",
        ]
    )
    assert len(read(pytester.path / "report.json").entries) == 1 and not (pytester.path / "report.html").exists()


def test_a_path_that_becomes_impossible_loses_nothing(suite: Suite, pytester: pytest.Pytester) -> None:
    own = """
import pathlib
@pytest.mark.gradcheck((4, 3))
def test_right():
    pathlib.Path("out").write_text("a file where the folder should be")
    return Swish
"""
    result = suite(own, "--gradcheck-report=out/report.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    line = next(line for line in result.outlines if "cannot be written" in line)
    kept = Path(line.partition("the report is kept in ")[2].partition(", and")[0])
    assert len(read(kept).entries) == 1
    kept.unlink()


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_ctrl_c_keeps_what_was_found(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(
        test_it="""
import time, pathlib, pytest, torch

@pytest.mark.gradcheck((3,))
def test_first():
    return torch.sin

def test_slow():
    pathlib.Path("started").touch()
    time.sleep(60)
"""
    )
    command = [sys.executable, "-m", "pytest", *QUICK, "--gradcheck", "--gradcheck-report=report.json", *workers]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 100
    while not (pytester.path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=100)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, output
    report = read(pytester.path / "report.json")
    assert report.interrupted and [entry.status for entry in report.entries] == ["GOOD"]


def test_a_session_that_stops_at_the_first_failure_says_so(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(TESTS, "-x", "--gradcheck-report=report.json")
    report = read(pytester.path / "report.json")
    assert report.interrupted and [entry.status for entry in report.entries] == ["GOOD", "WRONG"]


def test_collecting_alone_leaves_the_last_report(suite: Suite, pytester: pytest.Pytester) -> None:
    (pytester.path / "report.json").write_text("of yesterday")
    suite(TESTS, "--collect-only", "--gradcheck-report=report.json")
    assert (pytester.path / "report.json").read_text() == "of yesterday"


def test_a_rerun_command_does_not_overwrite_the_report(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(TESTS, "-k", "test_wrong", "--gradcheck-report=report.json", "--gradcheck-eps=1e-4")
    reports: list[Any] = [entry.report for entry in read(pytester.path / "report.json").entries]
    assert all("--gradcheck-eps=0.0001" in each.rerun and "gradcheck-report" not in each.rerun for each in reports)
