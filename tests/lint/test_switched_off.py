"""Where a file switches gradients of parameters off, a network may record nothing: GRD406 claims no activations."""

from __future__ import annotations

import pytest

from tests.lint.linting import lint

SCRIPT = """
    import torch
    from torch import nn

    class Judge:
        def __init__(self, net):
            self.net = net
            {switch}

        def judge(self, loader):
            self.net.eval()
            total = 0.0
            for x, y in loader:
                out = self.net(x)
                total += nn.functional.mse_loss(out, y)
            print(total)
"""


@pytest.mark.parametrize(
    ("switch", "found"),
    [
        ("pass", 1),
        ("net.requires_grad_(False)", 0),
        ("net.requires_grad_(requires_grad=False)", 0),
        ("self.net.requires_grad_(trained)", 0),
        ("for p in net.parameters(): p.requires_grad = False", 0),
        ("net.requires_grad_()", 1),
        ("net.weight.requires_grad = True", 1),
        ("print(net.weight.requires_grad)", 1),
    ],
)
def test_frozen_networks_keep_nothing(switch: str, found: int) -> None:
    assert len(lint(SCRIPT.format(switch=switch), "GRD406")) == found
