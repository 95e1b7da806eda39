"""GRD205: torch's momentum weighs the new batch; near one the running mean is the last batch's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


@pytest.mark.parametrize("momentum", [0.99, 0.9997])
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.SyncBatchNorm])
def test_the_running_mean_is_the_last_batch(kind: type[nn.Module], momentum: float) -> None:
    norm = nn.BatchNorm1d(1, momentum=momentum)
    for mean in (5.0, 100.0):
        norm(mean + torch.tensor([[-1.0], [1.0]]))
    assert norm.running_mean is not None
    expected = momentum * 100 + (1 - momentum) * momentum * 5
    assert float(norm.running_mean) == pytest.approx(expected, rel=1e-5)
    assert kind(1, momentum=momentum).momentum == momentum


def test_the_fixed_one_averages_over_batches() -> None:
    norm = nn.BatchNorm1d(1, momentum=0.01)
    torch.manual_seed(0)
    for _ in range(1000):
        norm(torch.randn(16, 1) + 3)
    assert norm.running_mean is not None
    assert float(norm.running_mean) == pytest.approx(3, abs=0.1)
    norm(torch.tensor([[-101.0], [-99.0]]))
    assert float(norm.running_mean) > 1.9


def test_functional_and_lazy_take_momentum_where_the_rule_looks() -> None:
    mean, variance = torch.zeros(1), torch.ones(1)
    nn.functional.batch_norm(torch.tensor([[1.0], [3.0]]), mean, variance, None, None, True, 0.99)
    assert float(mean) == pytest.approx(1.98)
    lazy = nn.LazyBatchNorm1d(1e-3, 0.999)
    assert (lazy.eps, lazy.momentum) == (1e-3, 0.999)
