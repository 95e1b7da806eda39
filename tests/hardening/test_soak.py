"""Checks leave nothing behind: the long soak is a command, `python -m tests.hardening.soak`; this is its short form."""

from __future__ import annotations

from collections import Counter

import torch

from tests.hardening.soak import alive, checks


def test_checks_leave_no_tensor_and_no_graph_behind() -> None:
    verdicts = Counter(checks(40))
    assert {"GOOD", "WRONG", "RAISED"} <= set(verdicts), "the soak must meet right, wrong and raising subjects"
    before = alive()
    list(checks(120, seed=1))
    assert alive() <= before


def test_what_is_kept_is_counted() -> None:
    """The count above must see a leak."""
    before = alive()
    leak = torch.ones(1, requires_grad=True) * 2
    assert alive() >= before + 2, leak
