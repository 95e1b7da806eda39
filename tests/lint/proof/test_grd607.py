"""GRD607: the attribute on a module freezes none of its parameters; the method of the safe fix freezes all."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def trained(net: nn.Module) -> int:
    net(torch.ones(1, 4)).sum().backward() if any(p.requires_grad for p in net.parameters()) else None
    return sum(p.grad is not None for p in net.parameters())


def test_only_the_method_freezes() -> None:
    bad, fixed = nn.Linear(4, 4), nn.Linear(4, 4)
    bad.requires_grad = False  # type: ignore[assignment]
    fixed.requires_grad_(False)
    assert (trained(bad), trained(fixed)) == (2, 0)
