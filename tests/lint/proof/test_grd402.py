"""GRD402: zero_grad() between backward() and step() stops all learning; moved above backward() it does not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

BETWEEN = """
for _ in range(100):
    loss = net(torch.ones(1, 2)).sum()
    loss.backward()
    {owner}.zero_grad()
    optimizer.step()
"""
ABOVE = """
for _ in range(100):
    loss = net(torch.ones(1, 2)).sum()
    {owner}.zero_grad()
    loss.backward()
    optimizer.step()
"""


def _moved(loop: str, owner: str, make: Any) -> bool:
    net = nn.Linear(2, 1)
    before = net.weight.detach().clone()
    optimizer = make(net.parameters())
    exec(loop.format(owner=owner), {"torch": torch, "net": net, "optimizer": optimizer})
    return not torch.equal(net.weight, before)


@pytest.mark.parametrize("owner", ["optimizer", "net"])
@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        lambda parameters: torch.optim.AdamW(parameters),  # skips parameters without gradient, decay included
    ],
    ids=["SGD", "AdamW"],
)
def test_the_weights_of_100_rounds(owner: str, make: Any) -> None:
    assert not _moved(BETWEEN, owner, make)
    assert _moved(ABOVE, owner, make)
