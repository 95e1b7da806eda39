"""GRD502: the root of a sum of squares has the gradient NaN at zero; the norm and an epsilon inside do not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is


def gradient(function: Any, at: float = 0.0) -> Any:
    x = torch.full((3,), at, requires_grad=True)
    function(x).sum().backward()
    return x.grad


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.pow(2).sum().sqrt(),
        lambda x: torch.sqrt((x**2).mean()),
        lambda x: x.pow(2).sum().sqrt() + 1e-6,
        lambda x: x.pow(2).sum().clamp(min=0).sqrt(),
        lambda x: torch.sqrt(nn.functional.mse_loss(x, torch.zeros(3))),
        lambda x: (x[:1] ** 2 + x[1:2] ** 2) ** 0.5,
    ],
)
def test_the_gradient_is_nan_at_zero(function: Any) -> None:
    assert gradient(function).isnan().any()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.linalg.vector_norm(x),
        lambda x: torch.linalg.vector_norm(x[None], dim=1, keepdim=True),
        lambda x: (x.pow(2).sum() + 1e-12).sqrt(),
    ],
)
def test_the_fixed_ones_give_zero(function: Any) -> None:
    assert torch.equal(gradient(function), torch.zeros(3))


def test_the_norm_and_the_root_agree_elsewhere() -> None:
    x = torch.linspace(-1, 1, 12).reshape(3, 4)
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    assert torch.allclose(norm, x.pow(2).sum(1, keepdim=True).sqrt())
    assert torch.allclose(norm, (x.pow(2).sum(1, keepdim=True) + 1e-12).sqrt())


def test_one_minus_a_square() -> None:
    assert gradient(lambda x: torch.sqrt(1 - x**2), 1.0).isinf().all()
    assert gradient(lambda x: torch.sqrt((1 - x**2).clamp(0, 1)), 1.0).isinf().all()
    assert gradient(lambda x: torch.sqrt((1 - x**2).clamp(0, 1) + 1e-12), 1.0).isfinite().all()
