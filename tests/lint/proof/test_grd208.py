"""GRD208: singular values of 1.5 make the gradient 6e8 times as large in 50 steps; clipped, the step is bounded."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

STEPS = 50


def recurrent() -> Any:
    """An RNN whose recurrent weight is 1.5 times a rotation."""
    torch.manual_seed(0)
    net: Any = nn.RNN(4, 16, bias=False)
    with torch.no_grad():
        nn.init.orthogonal_(net.weight_hh_l0).mul_(1.5)
    return net


def test_the_gradient_of_the_first_state_explodes() -> None:
    start = torch.zeros(1, 1, 16, requires_grad=True)
    recurrent()(torch.zeros(STEPS, 1, 4), start)[0][-1].sum().backward()
    assert start.grad is not None
    factor = float(start.grad.norm() / torch.ones(16).norm())
    assert factor == pytest.approx(1.5**STEPS, rel=1e-3)
    assert f"{factor:.0e}" == "6e+08"


@pytest.mark.parametrize("clipped", [False, True])
def test_clipping_bounds_the_step(clipped: bool) -> None:
    net = recurrent()
    before = net.weight_hh_l0.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(1e-9 * torch.ones(STEPS, 1, 4))[0][-1].sum().backward()
    if clipped:
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    moved = [float(parameter.grad.norm()) for parameter in net.parameters() if parameter.grad is not None]
    assert (max(moved) <= 1) is clipped
    assert float((net.weight_hh_l0 - before).norm()) <= 0.1 or not clipped
