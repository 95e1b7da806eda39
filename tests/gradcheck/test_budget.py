"""A budget: the cheapest decisive looks first, and a report that says what was covered."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from pytest_gradcheck import Verdict, check_gradients
from pytest_gradcheck.checks.base import Deadline
from pytest_gradcheck.model import Report
from tests.gradcheck.functions import MatMul, planted

Wrong = planted(MatMul, lambda a, b: (a, -b))


NOW = [0.0]


class Slow(nn.Module):
    """Ten milliseconds a forward, on a clock of its own: hundreds of elements take seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(8, 8))
        self.second = nn.Parameter(torch.randn(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        NOW[0] += 0.01
        if float(x.detach().sum()) > 1e9:  # data-dependent: no batches
            return x
        y: Tensor = Wrong.apply(x @ self.first, self.second)  # type: ignore[no-untyped-call]
        return y


def checked(monkeypatch: pytest.MonkeyPatch, budget: float) -> Report:
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: NOW[0])
        return check_gradients(Slow(), torch.randn(3, 8), budget=budget, mode="elementwise")


def test_a_wrong_tensor_is_found_before_the_elements_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(monkeypatch, 2.0)
    assert report.verdict is Verdict.WRONG
    assert {check.name: check.verdict for check in report.tensors}["second"] is Verdict.WRONG


def test_the_report_says_what_was_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(monkeypatch, 0.7)
    said = [finding.message for finding in report.findings if finding.kind == "budget"]
    assert len(said) == 1
    assert said[0].startswith("the budget of 0.7 s ended: ")
    assert "of 3 tensors were compared" in said[0]
    assert "not run: " in said[0]


def test_without_a_budget_nothing_is_said() -> None:
    report = check_gradients(lambda x: x.sin(), torch.randn(3))
    assert not [finding for finding in report.findings if finding.kind == "budget"]


def test_half_of_a_deadline() -> None:
    assert Deadline().half().at == float("inf")
    assert not Deadline(time.monotonic() + 60).half().passed
    assert Deadline(time.monotonic() - 1).half().passed


def test_progress_is_told_and_changes_nothing() -> None:
    from pytest_gradcheck.engine import Question, run

    said: list[str] = []
    x = torch.randn(40)
    quiet = run(Question(torch.sin, (x,)), {})
    told = run(Question(torch.sin, (x,), progress=said.append), {})
    assert quiet.tensors == told.tensors
    assert said[0] == "check determinism"
    assert any(line.startswith("input0, element 0 of 40") for line in said)


@pytest.mark.parametrize("seed", range(2))
def test_a_budget_of_nothing_still_answers(seed: int) -> None:
    report = check_gradients(nn.Linear(3, 2), torch.randn(4, 3), budget=1e-9, seed=seed)
    assert report.passed
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {check.reason for check in report.tensors} == {"budget"}
