"""Whatever happens in a run, the user's model, optimizer, generators and grad mode are as they were."""

from __future__ import annotations

import copy
import gc
import math
import random
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.training import train_smoke

BATCHES = [(torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3)]


class Counting(nn.Module):
    """Everything that a forward may change: a buffer in place, a buffer anew, an attribute, a new attribute."""

    seen: torch.Tensor
    latest: torch.Tensor

    def __init__(self, ends: str = "well") -> None:
        super().__init__()
        self.first, self.norm, self.tied = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)
        self.tied.weight = self.first.weight
        self.out = nn.Linear(6, 3)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("latest", torch.zeros(6))
        self.calls, self.ends = 0, ends

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen += 1
        self.latest = inputs[0]
        self.cache = inputs * 2
        random.random(), np.random.random()
        if self.calls == 3 and self.ends == "raises":
            raise ValueError("no")
        if self.calls == 3 and self.ends == "Ctrl-C":
            raise KeyboardInterrupt
        hidden = nn.functional.dropout(self.norm(self.first(inputs)), 0.5)
        out: torch.Tensor = self.out(self.tied(hidden))
        return out * math.nan if self.calls == 3 and self.ends == "nan" else out


def everything(model: Counting) -> dict[str, Any]:
    return {
        "state": copy.deepcopy(model.state_dict()),
        "grads": [None if item.grad is None else item.grad.clone() for item in model.parameters()],
        "modes": [item.training for item in model.modules()],
        "attributes": [sorted(vars(item)) for item in model.modules()],
        "calls": model.calls,
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(legacy=False)["state"]["key"].tolist(),
        "python": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
    }


def same(before: Any, after: Any) -> bool:
    if isinstance(before, torch.Tensor):
        return torch.equal(before, after)
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(same(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(same, before, after))
    return bool(before == after)


@pytest.mark.parametrize("ends", ["well", "nan", "raises", "Ctrl-C"])
@pytest.mark.parametrize("grad_mode", [True, False])
def test_everything_is_as_found_however_the_run_ends(ends: str, grad_mode: bool) -> None:
    model = Counting(ends)
    model.norm.eval()
    model.out.weight.grad = torch.ones(3, 6)
    with torch.set_grad_enabled(grad_mode):
        before, identity = everything(model), list(map(id, [*model.parameters(), *model.buffers()]))
        try:
            train_smoke(model, BATCHES, steps=5, lr=0.5)
        except (UsageProblem, KeyboardInterrupt):
            assert ends in {"raises", "Ctrl-C"}
        after = everything(model)
    for key, value in before.items():
        assert same(value, after[key]), key
    assert list(map(id, [*model.parameters(), *model.buffers()])) == identity
    assert model.tied.weight is model.first.weight


def test_this_comparison_can_fail() -> None:
    model = Counting()
    before = everything(model)
    train_smoke(model, BATCHES, steps=2, keep=True)
    after = everything(model)
    assert {key for key in before if not same(before[key], after[key])} == {"state", "grads", "attributes", "calls"}


def test_keep_leaves_the_model_trained_but_the_generators_as_found() -> None:
    model, before = nn.Linear(6, 3), torch.get_rng_state()
    start = model.weight.detach().clone()
    train_smoke(model, BATCHES, keep=True)
    assert not torch.equal(model.weight, start)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_net_that_fits_itself_is_unfitted_again() -> None:
    model = alexnet(init="normal:0.01")
    before = copy.deepcopy(model.state_dict())
    for size in (96, 64):
        run = train_smoke(model, [(torch.rand(2, 1, size, size), torch.tensor([1, 2]))], steps=1)
        assert run.parameters < 46_764_746
        assert same(dict(before), dict(model.state_dict()))
    assert getattr(model.features[0], "stride") == (4, 4)  # noqa: B009


def test_an_optimizer_of_the_users_is_as_found() -> None:
    model = nn.Linear(6, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    before = copy.deepcopy(optimizer.state_dict())
    run = train_smoke(model, BATCHES, optimizer=optimizer, lr=lambda step: 0.1)
    assert run.learning_rate[0] == 0.1
    assert optimizer.state_dict() == before


def test_memory_is_released_after_a_failure() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    class Watched(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            out = super().forward(inputs) * math.nan
            alive.append(weakref.ref(out))
            return out

    run = train_smoke(Watched(6, 3), BATCHES)
    gc.collect()
    assert run.failure is not None
    assert len(alive) > 2  # the step, its replay, and the remedies
    assert not any(reference() is not None for reference in alive)


def test_ctrl_c_stops_within_the_step_and_reports_what_was_seen() -> None:
    model = Counting("Ctrl-C")
    with pytest.raises(KeyboardInterrupt, match="Counting was interrupted after 2 steps of 9") as caught:
        train_smoke(model, BATCHES, steps=9)
    assert "loss" in str(caught.value)
