"""GRD417: in training mode evaluation is random, depends on the batch and changes the model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def test_dropout_still_drops() -> None:
    net, x = nn.Dropout(0.5), torch.ones(1000)
    with torch.no_grad():
        assert not torch.equal(net(x), net(x))
        net.eval()
        assert torch.equal(net(x), net(x))


def test_batch_normalisation_uses_and_keeps_the_test_batch() -> None:
    net, x = nn.BatchNorm1d(1), torch.tensor([[1.0], [2.0], [30.0]])
    with torch.no_grad():
        together = net(x)[0]
        assert net.running_mean is not None
        assert float(net.running_mean) != 0.0
        assert not torch.equal(together, net(x[:2])[0])
        net.eval()
        before = net.running_mean.clone()
        assert torch.equal(net(x)[0], net(x[:2])[0])
        assert torch.equal(net.running_mean, before)
