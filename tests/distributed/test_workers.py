"""pytest-xdist's workers share the cores, and find what one process finds."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
import torch

from pytest_gradcheck import workers
from pytest_gradcheck.subjects import devices

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Makes this process look like the second of two workers, where nobody chose a number of threads."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    for name in workers.CHOSEN:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What torch is told, instead of told."""
    told: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    return told


def at(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)


def test_threads_are_divided_among_workers(worker: pytest.MonkeyPatch, threads: list[int]) -> None:
    at(worker, CORES)
    workers.divide_threads()
    assert threads == [max(1, CORES // 2)]
    assert "OMP_NUM_THREADS" not in os.environ


def test_before_torch_is_loaded_it_is_told_by_the_environment(worker: pytest.MonkeyPatch, threads: list[int]) -> None:
    worker.delitem(sys.modules, "torch")
    worker.setenv("OMP_NUM_THREADS", "")
    workers.divide_threads()
    assert os.environ["OMP_NUM_THREADS"] == str(max(1, CORES // 2))
    assert threads == []


@pytest.mark.parametrize("name", workers.CHOSEN)
def test_a_number_of_threads_in_the_environment_stays(
    worker: pytest.MonkeyPatch, threads: list[int], name: str
) -> None:
    at(worker, CORES)
    worker.setenv(name, "7")
    workers.divide_threads()
    assert threads == []


def test_a_number_of_threads_that_a_conftest_set_stays(worker: pytest.MonkeyPatch, threads: list[int]) -> None:
    at(worker, 1000)
    workers.divide_threads()
    assert threads == []


def test_without_workers_nothing_changes(worker: pytest.MonkeyPatch, threads: list[int]) -> None:
    at(worker, CORES)
    worker.delenv("PYTEST_XDIST_WORKER")
    workers.divide_threads()
    assert threads == []


def test_a_device_without_an_index_is_this_workers_own(worker: pytest.MonkeyPatch) -> None:
    worker.setattr(torch.cuda, "is_available", lambda: True)
    worker.setattr(torch.cuda, "device_count", lambda: 3)
    assert [str(devices.find(name)) for name in ("cuda", "cuda:2", "cpu")] == ["cuda:1", "cuda:2", "cpu"]


CHECKS = """
import pytest, torch

@pytest.mark.gradcheck((3,))
@pytest.mark.parametrize("function", [torch.sin, torch.tanh, torch.exp], ids=["sin", "tanh", "exp"])
def test_it(function):
    return function
"""


def test_a_report_does_not_depend_on_the_worker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in workers.CHOSEN:
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(CHECKS)
    found = []
    for count in ("0", "2"):
        pytester.runpytest_subprocess(
            "--gradcheck", "-n", count, f"--gradcheck-report=r{count}.json", "-p", "no:hypothesispytest"
        ).assert_outcomes(passed=3)
        found.append(json.loads(pytester.path.joinpath(f"r{count}.json").read_text()))
    alone, shared = found
    assert _numbers(alone) == _numbers(shared)
    assert shared["environment"]["threads"] == str(max(1, CORES // 2))


def _numbers(report: dict[str, Any]) -> list[tuple[str, int, Any]]:
    entries = sorted(report["entries"], key=lambda entry: str(entry["id"]))
    return [(entry["id"], entry["report"]["seed"], entry["report"]["tensors"]) for entry in entries]


def test_torchrun_and_workers_do_not_mix(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(CHECKS)
    result = pytester.runpytest_subprocess("--gradcheck", "-n", "1", "-p", "no:hypothesispytest")
    result.stderr.fnmatch_lines(["ERROR: -n of pytest-xdist does not go with torchrun: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
