"""GRD606: a method's result is no parameter and not registered; the safe fix registers the same numbers."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def net(value: Any) -> nn.Module:
    made = nn.Module()
    made.w = value
    return made


@pytest.mark.parametrize(
    "move", [lambda t: t.half(), lambda t: t.to("meta"), lambda t: t.double(), lambda t: t.clone()]
)
def test_the_moved_one_is_plain_and_the_fixed_one_is_registered(move: Any) -> None:
    bad, fixed = net(move(nn.Parameter(torch.ones(3)))), net(nn.Parameter(move(torch.ones(3))))
    assert len(list(bad.parameters())) == 0
    assert bad.state_dict() == {}
    assert len(list(fixed.parameters())) == 1
    assert (bad.w.dtype, bad.w.device) == (fixed.w.dtype, fixed.w.device)


@pytest.mark.parametrize("move", [lambda t: t.float(), lambda t: t.cpu(), lambda t: t.to("cpu")])
def test_moves_to_where_it_is_return_itself(move: Any) -> None:
    assert len(list(net(move(nn.Parameter(torch.ones(3)))).parameters())) == 1
