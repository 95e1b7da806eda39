"""GRD601: layers in a plain list are in no parameters(), state_dict(), .to() or .eval(); in a ModuleList they are."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def net(wrap: Any) -> Any:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = wrap([nn.Linear(8, 8) for _ in range(3)])

    return Net()


def test_the_plain_list_is_not_seen() -> None:
    bad = net(list).to(torch.float64).eval()
    assert sum(p.numel() for p in bad.parameters()) == 0
    assert bad.state_dict() == {}
    assert bad.layers[0].weight.dtype == torch.float32
    assert bad.layers[0].training


@pytest.mark.parametrize(
    "wrap", [nn.ModuleList, lambda layers: nn.ModuleDict({str(i): x for i, x in enumerate(layers)})]
)
def test_the_safe_fix_registers_them(wrap: Any) -> None:
    fixed = net(wrap).to(torch.float64).eval()
    assert sum(p.numel() for p in fixed.parameters()) == 3 * (64 + 8)
    assert len(fixed.state_dict()) == 6
    assert {p.dtype for p in fixed.parameters()} == {torch.float64}
    assert not any(module.training for module in fixed.modules())


def test_a_module_list_takes_the_uses_that_the_fix_allows() -> None:
    layers = nn.ModuleList()
    layers.append(nn.Linear(1, 1))
    layers.extend([nn.Linear(1, 1)])
    layers.insert(0, nn.Linear(1, 1))
    assert isinstance(layers.pop(0), nn.Linear)
    assert len(layers) == len(list(enumerate(layers))) == len(layers[::-1]) == 2
    assert len(nn.ModuleList((nn.Linear(1, 1), nn.ReLU()))) == 2
