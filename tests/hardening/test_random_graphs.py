"""Random graphs have right gradients and raise no alarm; a fault in any of their nodes is caught."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pytest_gradcheck import Verdict, check_gradients
from tests.hardening.graphs import BINARY, FAULTS, UNARY, Graph, Step, effect

#: A fault that moves the gradient by less is left to the error bars: what is proven below 1e-5 is a finding only.
VISIBLE = 1e-4

steps = st.lists(
    st.builds(Step, st.sampled_from([*UNARY, *BINARY]), st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=7
).map(tuple)
shapes = st.tuples(st.integers(1, 4), st.integers(2, 5))
seeds = st.integers(0, 2**32 - 1)
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def draw(shape: tuple[int, int], seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2)]


@thorough
@given(steps, shapes, seeds)
def test_right_gradients_raise_no_alarm(steps: tuple[Step, ...], shape: tuple[int, int], seed: int) -> None:
    report = check_gradients(Graph(steps), *draw(shape, seed), seed=seed)
    note(str(report))
    assert report.passed
    assert report.verdict in {Verdict.GOOD, Verdict.INCONCLUSIVE}


@thorough
@given(steps, shapes, seeds, st.sampled_from([*FAULTS]), st.integers(0, 6))
def test_a_fault_in_any_node_is_caught(
    steps: tuple[Step, ...], shape: tuple[int, int], seed: int, fault: str, at: int
) -> None:
    graph, inputs = Graph(steps, fault, at), draw(shape, seed)
    moved = effect(graph, inputs, seed)
    report = check_gradients(graph, *inputs, seed=seed)
    note(f"the fault moves the gradient by {moved:.1e}\n{report}")
    assert not report.passed or moved < VISIBLE


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_moves_a_gradient(fault: str) -> None:
    """A fault that did nothing would make the test above pass for nothing."""
    graph = Graph((Step("tanh"), Step("mul", 0, 1), Step("layer_norm")), fault, 1)
    assert effect(graph, draw((3, 4), 0), 0) > VISIBLE
