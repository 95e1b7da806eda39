"""GRD207: the second positional argument is eps, and a large one no longer normalises."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def std_after(norm: nn.Module, std: float) -> float:
    torch.manual_seed(0)
    return float(norm(std * torch.randn(100_000, 1)).detach().std())


@pytest.mark.parametrize(("eps", "std", "stated"), [(0.8, 0.1, 0.11), (0.8, 1.0, 0.75), (64, 1.0, 0.12)])
def test_the_numbers_on_the_page(eps: float, std: float, stated: float) -> None:
    norm = nn.BatchNorm1d(1, eps)
    assert (norm.eps, norm.momentum) == (eps, 0.1)
    assert std_after(norm, std) == pytest.approx(stated, abs=0.005)
    assert stated == pytest.approx(std * (std**2 + eps) ** -0.5, abs=0.005)


def test_the_fixed_one_normalises() -> None:
    assert std_after(nn.BatchNorm1d(1, momentum=0.2), 0.1) == pytest.approx(1, abs=0.01)


def test_lazy_ones_and_bools_are_eps_too() -> None:
    assert nn.LazyBatchNorm1d(64).eps == 64
    norm = nn.InstanceNorm1d(3, True)
    assert not norm.affine
    assert norm.eps == 1
