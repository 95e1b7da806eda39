"""Hypothesis strategies for inputs: what they draw, what they find, and what they say where they cannot."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from hypothesis import find, given, settings

from pytest_gradcheck import UsageProblem, check_gradients, strategies


class DropsTheLastRow(torch.autograd.Function):
    """Right for a single row only."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
        grad = cotangents[0] * 2
        return torch.cat([grad[:-1], torch.zeros_like(grad[-1:])]) if len(grad) > 1 else grad


@settings(max_examples=50, deadline=None)
@given(strategies.tensors(dims=(0, 2), sides=(1, 4), domain=(0.5, 2.0)))
def test_draws_are_finite_float64_of_the_asked_kind(x: torch.Tensor) -> None:
    assert x.dtype == torch.float64
    assert x.ndim <= 2 and max(x.shape, default=1) <= 4
    assert 0.5 <= float(x.min()) <= float(x.max()) <= 2.0


@settings(max_examples=10, deadline=None)
@given(strategies.tensors((2, 3)))
def test_a_shape_may_be_given(x: torch.Tensor) -> None:
    assert x.shape == (2, 3)


def test_a_wrong_backward_is_found_and_shrunk() -> None:
    with torch.random.fork_rng():
        smallest = find(
            strategies.tensors(dims=(2, 2)),
            lambda x: not check_gradients(DropsTheLastRow, x).passed,
            settings=settings(max_examples=200, deadline=None, database=None),
        )
    assert smallest.shape == (2, 1)


def test_an_empty_range_is_one_sentence() -> None:
    with pytest.raises(UsageProblem, match=r"^domain is \(2, 1\), but its first number must not exceed its second$"):
        strategies.tensors(domain=(2, 1))


def test_without_hypothesis_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(UsageProblem, match=r"needs hypothesis, which is not installed: pip install hypothesis$"):
        strategies.tensors()
