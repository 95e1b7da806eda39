"""Numbers that come a step late, as from an accelerator: the same failures, and no healthy step waits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.training import smoke
from pytest_gradcheck.training.plan import Plan
from pytest_gradcheck.training.reader import LateReader, Reader, reader_for

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


@dataclass
class Slow:
    """A transfer that is ready when it was asked for `asks` times; waiting for it is noted."""

    values: torch.Tensor
    waited: list[int]
    asks: int

    def ready(self) -> bool:
        self.asks -= 1
        return self.asks < 0

    def wait(self) -> torch.Tensor:
        self.waited.append(self.asks)
        return self.values


def late(asks: int = 0) -> LateReader:
    return LateReader(lambda values: Slow(values.clone(), [], asks))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def run(model: Any, reader: LateReader | None, **options: Any) -> Any:
    given = {"lr": 0.05, "steps": 8, "clip": None, "amp": None, **options}
    plan = Plan(
        model, [(X, Y)], None, "sgd", given["lr"], given["steps"], None, given["clip"], given["amp"], False, False,
        max_overhead=None, reader=None if reader is None else lambda: reader,
    )  # fmt: skip
    return smoke._run(plan, 0)[0]


def test_what_was_sent_comes_with_the_next_exchange_and_the_rest_at_the_end() -> None:
    reader = late()
    assert reader.exchange(torch.tensor([1.0]), "a") == []
    ((values, note),) = reader.exchange(torch.tensor([2.0]), "b")
    assert (values.item(), note) == (1.0, "a")
    assert [note for _, note in reader.rest()] == ["b"]
    assert reader.rest() == []


def test_the_host_runs_ahead_only_so_far() -> None:
    reader = late(asks=99)
    assert reader.exchange(torch.zeros(1), 0) == []
    assert reader.exchange(torch.zeros(1), 1) == []
    assert [note for _, note in reader.exchange(torch.zeros(1), 2)] == [0]  # now it waits for the oldest


def test_a_healthy_run_is_the_same_and_is_reported_in_full() -> None:
    prompt, slow, slower = run(net, None), run(net, late()), run(net, late(asks=3))
    assert prompt.passed and slow.passed
    assert prompt.loss == slow.loss == slower.loss
    assert slow.gradient_norm == pytest.approx(prompt.gradient_norm, rel=1e-6)
    assert len(slow.learning_rate) == 8
    assert [sample.step for sample in slow.health.samples] == [sample.step for sample in prompt.health.samples]
    for seen, wanted in zip(slow.health.samples, prompt.health.samples, strict=True):
        assert seen.histograms == wanted.histograms


class Breaks(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner, self.how, self.calls = nn.Linear(6, 3), how, 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out: torch.Tensor = self.inner(inputs)
        if self.calls != 4:
            return out
        return (out * 0).sqrt() if self.how == "backward" else (out * 0).log() * 0


@pytest.mark.parametrize("how", ["forward", "backward"])
@pytest.mark.parametrize("asks", [0, 3])
def test_a_failure_seen_late_is_explained_by_running_again_from_the_seed(how: str, asks: int) -> None:
    prompt, slow = run(lambda: Breaks(how), None), run(lambda: Breaks(how), late(asks))
    assert prompt.failure is not None
    assert prompt.failure.step == 3
    assert slow.failure == prompt.failure
    assert slow.loss == pytest.approx(prompt.loss, nan_ok=True)
    assert any("repeated from its seed" in note for note in slow.notes)


def test_what_does_not_fail_again_is_said() -> None:
    outside = {"calls": 0}

    class Once(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            outside["calls"] += 1
            return super().forward(inputs) * (math.nan if outside["calls"] == 2 else 1)

    slow = run(lambda: Once(6, 3), late())
    assert slow.failure is not None
    assert (slow.failure.step, slow.failure.value, slow.failure.reproduced) == (1, "nan", False)
    assert "seen 1 step late" in slow.failure.evidence[0]
    assert "repeated from its seed with every gradient read, the run did not fail" in slow.failure.evidence


def test_squares_that_overflow_are_no_late_failure() -> None:
    """Late numbers cannot be confirmed element by element, so their norms are summed in double precision."""

    class Wide(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs * 1e-12) * 1e30

    model = Wide(6, 3)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    slow = run(model, late(), lr=1e-30, steps=3)
    assert slow.failure is None or slow.failure.value == "collapse", str(slow)
    assert max(slow.gradient_norm) > 1e28


def test_loss_scaling_reads_at_once() -> None:
    scaled = run(net, late(), amp=torch.float16, steps=4)
    assert scaled.passed
    assert len(scaled.loss) == 4


def test_a_cpu_reads_at_once_and_cuda_late() -> None:
    assert type(reader_for(torch.device("cpu"))) is Reader
    assert isinstance(reader_for(torch.device("cuda", 0)), LateReader)
