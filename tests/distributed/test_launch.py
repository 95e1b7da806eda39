"""What the environment says about how a process was started."""

from __future__ import annotations

import pytest

from pytest_gradcheck import launch

RANK_1 = {
    "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "29500",
}  # fmt: skip
WORKER_2 = {"PYTEST_XDIST_WORKER": "gw2", "PYTEST_XDIST_WORKER_COUNT": "3"}


def test_a_rank_knows_itself_the_others_and_its_machine() -> None:
    assert (launch.rank(RANK_1), launch.ranks(RANK_1), launch.on_this_machine(RANK_1)) == (1, 4, (1, 2))
    assert launch.command(RANK_1) == ["torchrun", "--nproc-per-node", "4", "-m"]


def test_a_worker_knows_its_number() -> None:
    assert launch.on_this_machine(WORKER_2) == (2, 3)
    assert (launch.rank(WORKER_2), launch.ranks(WORKER_2), launch.command(WORKER_2)) == (0, 1, [])


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
def test_half_of_torchruns_environment_makes_no_rank(missing: str) -> None:
    known = {name: value for name, value in RANK_1.items() if name != missing}
    assert (launch.rank(known), launch.ranks(known), launch.on_this_machine(known)) == (0, 1, (0, 1))


def test_a_worker_that_a_rank_started_is_no_rank() -> None:
    assert launch.ranks(RANK_1 | WORKER_2) == 1


def test_a_process_alone_is_the_only_one() -> None:
    assert (launch.rank({}), launch.ranks({}), launch.on_this_machine({})) == (0, 1, (0, 1))


@pytest.mark.parametrize(
    ("name", "count", "means"),
    [("cuda", 2, "cuda:0"), ("cuda", 4, "cuda:2"), ("cuda", 1, "cuda"), ("cuda:1", 4, "cuda:1"), ("cpu", 1, "cpu")],
)
def test_workers_take_several_devices_in_turn(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, means: str
) -> None:
    for variable, value in WORKER_2.items():
        monkeypatch.setenv(variable, value)
    assert launch.own_device(name, count) == means


def test_a_process_alone_keeps_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*RANK_1, *WORKER_2):
        monkeypatch.delenv(variable, raising=False)
    assert launch.own_device("cuda", 8) == "cuda"
