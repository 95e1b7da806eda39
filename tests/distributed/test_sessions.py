"""How sessions of several ranks end: early, and without a process group."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.distributed.conftest import session

STOPS = """
import os
import pytest
import torch

@pytest.mark.gradcheck((3,))
@pytest.mark.parametrize("again", [0, 1])
def test_sin(again):
    return torch.sin

def test_on_one():
    assert os.environ["RANK"] == "0", "rank one is sad"

@pytest.mark.gradcheck((3,))
@pytest.mark.parametrize("again", [0, 1])
def test_cos(again):
    return torch.cos
"""


@pytest.mark.parametrize("group", [True, False], ids=["with a group", "without a group"])
def test_a_rank_that_stops_early_ends_the_session(tmp_path: Path, group: bool) -> None:
    ran = session(tmp_path, STOPS, "-x", group=group)
    assert "rank 1 alone failed test_it.py::test_on_one" in ran.output, ran.output
    assert [ran.seen(rank)["status"] for rank in (0, 1)] == [1, 1]
    assert [name for name in ran.seen(1) if "cos" in name] == []
    outcome, text = ran.seen(0)["test_cos[0]"]
    assert outcome == ("failed" if group else "passed")
    assert text == "" or text.startswith("rank 0 of 2 got no answer from the others: one has ended")
    assert "Timed out" not in text  # it need not wait to learn this
