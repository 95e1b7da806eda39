"""Smoke runs of several ranks: what DistributedDataParallel computes, and one verdict for all."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.ranks import VARIABLE, current, patience
from tests.distributed.conftest import Run, torchrun

#: Every rank prints one line of JSON; the last case ends rank 1 in the middle of a run.
SCRIPT = """
import json, os, pathlib
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler
from pytest_gradcheck import train_smoke

RANK = int(os.environ["RANK"])
said = {}
torch.manual_seed(5)
data = [(torch.randn(8, 6), torch.randint(0, 3, (8,))) for _ in range(5)]

def make():
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))

def report(run):
    return {"passed": run.passed, "failure": run.failure and run.failure.__dict__ | {"first": None}, "text": str(run)}

def raised(call):
    try:
        call()
    except Exception as error:
        return [type(error).__name__, str(error)]

model, twin = make(), make()
twin.load_state_dict(model.state_dict())
run = train_smoke(model, data, lr=0.1, steps=7, seed=3, keep=True)
torch.manual_seed(3)
net = DistributedDataParallel(twin)
optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
losses = []
for step in range(7):
    inputs, targets = data[(2 * step + RANK) % 5]
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(inputs), targets)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
pairs = zip(model.state_dict().values(), twin.state_dict().values(), strict=True)
said["equal"] = [losses == run.loss, all(torch.equal(a, b) for a, b in pairs), run.loss, list(run.notes)]

before = [value.clone() for value in model.state_dict().values()]
train_smoke(model, data, steps=2)
said["left"] = all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))
if RANK == 0:  # no hook of the run's is left that would wait for the other rank
    model(data[0][0]).sum().backward()
    said["alone"] = True

poisoned = [(inputs.clone(), targets) for inputs, targets in data]
poisoned[3][0][0, 0] = float("nan")
said["nan"] = report(train_smoke(make, poisoned, lr=0.1, steps=7))

class Roots(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return torch.log(self.layer(x).abs() * (0 if RANK == 1 else 1) + (0 if RANK == 1 else 1))

said["log"] = report(train_smoke(Roots, data, steps=3))
said["raises"] = raised(lambda: train_smoke(make, [*data[:3], (torch.randn(8, 5), data[0][1])], steps=7))

def breaks_off():
    yield from data[: 3 + RANK]

said["ends"] = raised(lambda: train_smoke(make, breaks_off(), steps=4))
wrapped = train_smoke(lambda: DistributedDataParallel(make()), data, steps=2)
said["wrapped"] = [wrapped.passed, wrapped.model]
table = TensorDataset(torch.arange(8.0)[:, None], torch.zeros(8, 1))
taken = []
loader = DataLoader(table, batch_size=2, sampler=DistributedSampler(table, shuffle=False))
spy = lambda out, targets: (out - targets).square().mean()
class Notes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
    def forward(self, x):
        taken.append(x.flatten().tolist())
        return self.layer(x)
train_smoke(Notes, loader, loss=spy, steps=2, lr=1e-3)
said["sampler"] = taken
said["seeds"] = [len(train_smoke(make, data, steps=2, seeds=(0, 1)).seeds), raised(
    lambda: train_smoke(make, data, steps=2 + RANK))]
pathlib.Path(f"rank{RANK}.json").write_text(json.dumps(said))

class Dies(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(6, 3), 0

    def forward(self, x):
        self.calls += 1
        if RANK == 1 and self.calls == 3:
            os._exit(3)
        return self.layer(x)

try:
    train_smoke(Dies(), data, steps=7)
except Exception as error:
    print(type(error).__name__, error, flush=True)
"""

#: One rank trains, the other does something else for longer than the first has patience.
STAYS_AWAY = """
import os, time, torch
import torch.distributed as dist
from pytest_gradcheck import ranks, train_smoke

together = ranks.current(start=True)
together.same("the start")
if together.rank == 1:
    time.sleep(9)
else:
    try:
        train_smoke(torch.nn.Linear(2, 2), [(torch.ones(1, 2), torch.zeros(1, dtype=torch.long))])
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ddp")
    (folder / "run.py").write_text(SCRIPT)
    return torchrun(folder, "run.py")


def both(ran: Run, case: str) -> tuple[Any, Any]:
    assert (ran.folder / "rank1.json").exists(), ran.output
    return ran.seen(0)[case], ran.seen(1)[case]


def test_losses_and_parameters_are_bit_equal_with_a_bare_loop(ran: Run) -> None:
    first, second = both(ran, "equal")
    assert first[:2] == second[:2] == [True, True]
    assert first[2] != second[2], "the ranks trained on the same batches"


def test_the_report_says_whose_losses_it_shows(ran: Run) -> None:
    for rank, found in enumerate(both(ran, "equal")):
        said = f"trained by 2 ranks under DistributedDataParallel; the losses are those of rank {rank}"
        assert found[3] == [f"{said}; remedies and bundles are off there"]


def test_the_model_is_left_as_found_and_free_of_hooks(ran: Run) -> None:
    assert both(ran, "left") == (True, True)
    assert ran.seen(0)["alone"]


def test_a_nan_in_one_ranks_batch_fails_all_with_the_same_words(ran: Run) -> None:
    first, second = both(ran, "nan")
    assert first["failure"] == second["failure"]
    assert (first["failure"]["step"], first["failure"]["phase"], first["failure"]["cause"]) == (1, "data", "the batch")
    assert "it arose on rank 1 of 2, and reached the others through the gradients' all-reduce" in first["text"]


def test_a_nan_of_one_ranks_forward_is_explained_on_all(ran: Run) -> None:
    first, second = both(ran, "log")
    assert first["failure"] == second["failure"]
    assert (first["failure"]["step"], first["failure"]["op"], first["failure"]["reproduced"]) == (0, "aten.log", True)
    assert "it arose on rank 1 of 2" in first["text"]


def test_a_forward_that_raises_on_one_rank_raises_on_all(ran: Run) -> None:
    first, second = both(ran, "raises")
    assert first == second
    assert first[0] == "UsageProblem"
    assert first[1].startswith("rank 1 of 2: the forward of Sequential raised RuntimeError at step 1 on inputs (8, 5)")


def test_batches_that_end_on_one_rank_end_the_run_on_all(ran: Run) -> None:
    first, second = both(ran, "ends")
    assert first == second
    assert first[1].startswith("rank 0 of 2: batches ended after 1 of them, and a generator cannot start again")


def test_a_model_that_is_wrapped_already_is_taken_as_it_is(ran: Run) -> None:
    assert both(ran, "wrapped") == ([True, "Sequential"], [True, "Sequential"])


def test_a_loader_that_shares_by_itself_is_left_to_it(ran: Run) -> None:
    assert both(ran, "sampler") == ([[0.0, 2.0], [4.0, 6.0]], [[1.0, 3.0], [5.0, 7.0]])


def test_several_seeds_run_on_all_ranks_and_different_questions_are_refused(ran: Run) -> None:
    (seeds, told), (_, other) = both(ran, "seeds")
    assert seeds == 2
    said = "rank 0 runs a smoke run of 2 steps with seed 0 while rank 1 runs a smoke run of 3 steps with seed 0"
    assert told == ["UsageProblem", f"{said}: every rank must run the same tests in the same order"]
    assert other[1].startswith("rank 1 runs a smoke run of 3 steps")


def test_a_rank_that_dies_leaves_one_clear_error_and_no_deadlock(ran: Run) -> None:
    assert ran.status == 1
    assert "RankLost rank 0 of 2 got no answer from the others: one has ended" in ran.output
    assert "look for the first failure in what the ranks printed" in ran.output


def test_a_rank_that_stays_away_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(STAYS_AWAY)
    ran = torchrun(tmp_path, "run.py", patience="5")
    assert "RankLost rank 0 of 2 got no answer from the others: one has ended, or waited in another" in ran.output
    assert "for over 5 s (PYTEST_GRADCHECK_RANK_TIMEOUT changes that)" in ran.output


def test_ranks_that_never_come_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port = str(found.getsockname()[1])
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port, VARIABLE: "1"}
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageProblem, match=f"^rank 0 could not meet the other 1 at localhost:{port}, where RANK and"):
        current(start=True)
    monkeypatch.delenv("WORLD_SIZE")
    assert current(start=True) is None


def test_patience_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "soon")
    with pytest.raises(UsageProblem, match=f"{VARIABLE} is 'soon', but it must be a positive number of seconds"):
        patience()
