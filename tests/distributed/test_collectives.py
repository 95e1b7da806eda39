"""Functions that call collectives are checked by all ranks together, as one function of all their tensors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.distributed.conftest import Run, session

TESTS = """
import os
import pytest
import torch
import torch.distributed as dist
import torch.distributed.nn.functional as F
from pytest_gradcheck import GradientMismatch, check_gradients

RANK = int(os.environ["RANK"])

class Reduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.clone()
        dist.all_reduce(y)
        return y

    @staticmethod
    def backward(ctx, g):
        g = g.clone()
        dist.all_reduce(g)
        return g

class Forgets(Reduce):
    @staticmethod
    def backward(ctx, g):
        return g

class Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        parts = [torch.empty_like(x) for _ in range(2)]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx, g):
        g = g.clone()
        dist.all_reduce(g)
        return g[RANK]

class Swaps(Gather):
    @staticmethod
    def backward(ctx, g):
        g = g.clone()
        dist.all_reduce(g)
        return g[1 - RANK]

class InBackwardOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        g = g.clone()
        dist.all_reduce(g)
        return g

@pytest.mark.gradcheck((3,))
@pytest.mark.parametrize("subject", [Reduce, Forgets, Gather, Swaps, InBackwardOnly])
def test_function(subject):
    return subject

@pytest.mark.gradcheck((2, 2))
def test_torch():
    return lambda x: torch.cat(F.all_gather(x.sin())).prod(0) * F.all_reduce(x)

def test_inputs_of_their_own():
    report = check_gradients(lambda x: F.all_reduce(x ** (2 + RANK)), torch.linspace(1, 2, 3 + RANK)[:3])
    assert report.verdict.name == "GOOD"
    assert [tensor.name for tensor in report.tensors] == ["input0 on rank 0", "input0 on rank 1"]

def test_alone():
    report = check_gradients(torch.sin if RANK else torch.cos, torch.ones(2), checks=["vjp"])
    assert [tensor.name for tensor in report.tensors] == ["input0"]

@pytest.mark.gradcheck((20,), budget=0.05)
def test_budget():
    return Reduce

@pytest.mark.gradcheck((3,))
def test_raises_on_one():
    def half(x):
        if RANK == 1:
            raise ValueError("no such thing here")
        return x.sin()
    return half

def test_fails_on_one():
    assert RANK == 0, "rank one is sad"

def test_goes_on_afterwards():
    assert check_gradients(Reduce, torch.ones(2)).passed
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return session(tmp_path_factory.mktemp("collectives"), TESTS, "--gradcheck-report=report.json")


@pytest.mark.parametrize("subject", ["Reduce", "Gather"])
def test_a_right_backward_is_good_on_all_ranks(ran: Run, subject: str) -> None:
    assert [ran.seen(rank)[f"test_function[{subject}]"][0] for rank in (0, 1)] == ["passed", "passed"], ran.output


def test_torch_s_own_collectives_are_good(ran: Run) -> None:
    assert [ran.seen(rank)["test_torch"][0] for rank in (0, 1)] == ["passed", "passed"]


@pytest.mark.parametrize("subject", ["Forgets", "Swaps", "InBackwardOnly"])
def test_a_wrong_backward_is_wrong_on_all_ranks_in_the_same_words(ran: Run, subject: str) -> None:
    (first, text), (second, same) = (ran.seen(rank)[f"test_function[{subject}]"] for rank in (0, 1))
    assert (first, second) == ("failed", "failed")
    assert text == same
    assert f"gradients of {subject} are WRONG: 2 of 2 tensors differ" in text
    assert "input0 on rank 1[" in text
    assert "one function of the tensors of all 2 ranks" in text


def test_what_a_forgotten_all_reduce_loses_is_named(ran: Run) -> None:
    assert "output 1 of 2 is left out, the others are right" in ran.seen(1)["test_function[Forgets]"][1]


def test_the_command_that_repeats_a_check_starts_the_ranks_too(ran: Run) -> None:
    assert "rerun: torchrun --nproc-per-node 2 -m pytest " in ran.seen(1)["test_function[Forgets]"][1]


@pytest.mark.parametrize("name", ["test_inputs_of_their_own", "test_goes_on_afterwards"])
def test_ranks_agree(ran: Run, name: str) -> None:
    for rank in (0, 1):
        outcome, text = ran.seen(rank)[name]
        assert outcome == "passed", text


def test_ranks_that_check_different_functions_are_told_so(ran: Run) -> None:
    outcome, text = ran.seen(0)["test_alone"]
    assert outcome == "failed"
    assert "rank 0 runs the check of cos with seed 0 while rank 1 runs the check of sin with seed 0" in text
    assert "every rank must run the same tests in the same order" in text


def test_a_budget_ends_on_all_ranks_at_once(ran: Run) -> None:
    first, second = (ran.seen(rank)["test_budget"] for rank in (0, 1))
    assert first == second


def test_an_error_on_one_rank_is_everybodys(ran: Run) -> None:
    assert "rank 1 of 2: " in ran.seen(0)["test_raises_on_one"][1]
    assert "no such thing here" in ran.seen(0)["test_raises_on_one"][1]
    assert "no such thing here" in ran.seen(1)["test_raises_on_one"][1]


def test_rank_0_speaks_for_all(ran: Run) -> None:
    assert ran.output.count("gradients of Forgets are WRONG") == 1
    assert "rank 1 alone failed test_it.py::test_fails_on_one" in ran.output
    assert "AssertionError: rank one is sad" in ran.output


def test_all_ranks_end_with_the_same_status(ran: Run) -> None:
    assert [ran.seen(rank)["status"] for rank in (0, 1)] == [1, 1], ran.output


def test_rank_0_writes_the_report(ran: Run) -> None:
    entries = json.loads((ran.folder / "report.json").read_text())["entries"]
    verdicts = {entry["id"].partition("::")[2]: entry["report"]["verdict"] for entry in entries if entry["report"]}
    assert verdicts["test_function[Forgets]"] == "WRONG"
    assert verdicts["test_function[Reduce]"] == "GOOD"
    assert Path(ran.folder / "report.json").stat().st_size > 0
