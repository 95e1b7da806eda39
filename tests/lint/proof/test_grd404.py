"""GRD404: a bound of 1 on scaled gradients allows 1/65536; after unscale_ it allows 1."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def _update(*, unscaled: bool, enabled: bool = True) -> float:
    net = nn.Linear(1, 1, bias=False)
    before = net.weight.detach().clone()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    scaler = torch.amp.GradScaler("cpu", enabled=enabled)
    scaler.scale(net(torch.full((1, 1), 2.0)).sum()).backward()
    if unscaled:
        scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    return float((before - net.weight).abs().max().detach())


def test_the_default_scale() -> None:
    assert torch.amp.GradScaler("cpu").get_scale() == 65536.0


def test_a_bound_of_1_allows_a_65536th() -> None:
    assert _update(unscaled=False) == pytest.approx(1 / 65536, rel=0.02)
    assert f"{1 / 65536:.2g}" == "1.5e-05"


def test_the_fix_gives_the_bound_that_is_written() -> None:
    assert _update(unscaled=True) == pytest.approx(1.0, rel=1e-4)


def test_with_a_scaler_that_is_off_the_fix_changes_nothing() -> None:
    assert _update(unscaled=True, enabled=False) == _update(unscaled=False, enabled=False)
