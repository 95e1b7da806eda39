"""GRD403: clipping after the step or before backward() leaves an update 1000 times too large; the fix does not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

CLIP = "nn.utils.clip_grad_norm_(net.parameters(), 1.0)"
AFTER = ["optimizer.zero_grad()", "loss().backward()", "optimizer.step()", CLIP]
BEFORE = ["optimizer.zero_grad()", CLIP, "loss().backward()", "optimizer.step()"]
FIXED = ["optimizer.zero_grad()", "loss().backward()", CLIP, "optimizer.step()"]


def _largest_update(statements: list[str]) -> float:
    net = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    names = {"net": net, "nn": nn, "optimizer": optimizer, "loss": lambda: net(torch.full((1, 1), 1000.0)).sum()}
    largest = 0.0
    for _ in range(3):
        before = net.weight.detach().clone()
        exec("\n".join(statements), names)
        largest = max(largest, float((net.weight - before).abs().max().detach()))
    return largest


@pytest.mark.parametrize("statements", [AFTER, BEFORE], ids=["after", "before"])
def test_a_norm_of_1000_passes_a_bound_of_1(statements: list[str]) -> None:
    assert _largest_update(statements) == pytest.approx(1000.0, rel=1e-3)


def test_between_backward_and_step_the_bound_holds() -> None:
    assert _largest_update(FIXED) == pytest.approx(1.0, rel=1e-3)
