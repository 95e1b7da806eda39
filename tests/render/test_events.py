"""Training runs as TensorBoard's event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_gradcheck import UsageProblem, train_smoke
from pytest_gradcheck.model.session import Entry, SessionReport
from pytest_gradcheck.model.training import TrainingReport
from pytest_gradcheck.render.events import write_events


@pytest.fixture
def run() -> TrainingReport:
    torch.manual_seed(0)
    batch = torch.randn(8, 4), torch.randint(3, (8,))
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    return train_smoke(model, [batch], steps=4, lr=0.1)


def session(*entries: tuple[str, TrainingReport]) -> SessionReport:
    found = tuple(Entry(name, "training", "passed", run) for name, run in entries)
    return SessionReport(created="2026-01-02T03:04:05+00:00", seconds=1.0, entries=found)


def test_tensorboard_reads_back_what_the_run_says(run: TrainingReport, tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    (folder,) = write_events(tmp_path, session(("tests/test_net.py::test_it[cpu]", run)))
    assert folder == tmp_path / "tests_test_net.py_test_it[cpu]"
    found = reader.EventAccumulator(str(folder)).Reload()
    assert [event.step for event in found.Scalars("loss")] == [0, 1, 2, 3]
    for event, loss in zip(found.Scalars("loss"), run.loss, strict=True):
        assert math.isclose(event.value, loss, rel_tol=1e-6)
    first = found.Scalars("gradient norm of/0.weight")[0]
    assert math.isclose(first.value, run.health.gradient[0][run.health.parameters.index("0.weight")], rel_tol=1e-6)
    histogram = run.health.samples[0].histograms[0]
    shown = found.Histograms(f"log10 of the gradient of/{histogram.parameter}")[0].histogram_value
    assert shown.num == sum(histogram.counts) > 0


def test_runs_of_one_name_and_seeds_get_folders_of_their_own(run: TrainingReport, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert [path.name for path in write_events(tmp_path, session(("a", run), ("a", run)))] == ["a", "a-1"]


def test_without_tensorboard_the_message_says_what_to_install(
    run: TrainingReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageProblem, match=r"need tensorboard.*, which is not installed: pip install tensorboard$"):
        write_events(tmp_path, session(("a", run)))


def test_a_folder_that_cannot_be_written_is_one_sentence(run: TrainingReport, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageProblem, match=r"^event files cannot be written to .*file/a: "):
        write_events(tmp_path / "file", session(("a", run)))


SMOKE = """
import torch
from torch import nn

def test_net(smoke_train):
    batch = torch.randn(8, 4), torch.randint(3, (8,))
    smoke_train(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), [batch], steps=3)
"""


def test_the_option_writes_the_runs_of_a_session(pytester: pytest.Pytester) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    pytester.makepyfile(test_net=SMOKE)
    result = pytester.runpytest_subprocess("--gradcheck-tensorboard=runs")
    result.stdout.fnmatch_lines(["gradcheck: 1 training run written for tensorboard --logdir runs"])
    assert list((pytester.path / "runs" / "test_net.py_test_net").glob("events.out.tfevents.*"))


def test_a_session_that_cannot_write_them_fails(pytester: pytest.Pytester) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    pytester.makepyfile(test_net=SMOKE)
    pytester.path.joinpath("runs").write_text("in the way")
    result = pytester.runpytest_subprocess("--gradcheck-tensorboard=runs")
    result.stdout.fnmatch_lines(["gradcheck: event files cannot be written to *runs/test_net.py_test_net: *"])
    assert result.ret != 0
