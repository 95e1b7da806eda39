"""GRD414: binary cross-entropy with swapped arguments clamps the target's logarithm; cross-entropy raises."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402 - only where torch is


def test_a_prediction_of_09_costs_100_times_as_much() -> None:
    prediction, target = torch.tensor([0.9]), torch.tensor([1.0])
    assert float(functional.binary_cross_entropy(prediction, target)) == pytest.approx(0.105, abs=5e-4)
    assert float(functional.binary_cross_entropy(target, prediction)) == pytest.approx(10.0, rel=1e-3)


def test_cross_entropy_of_class_numbers_raises() -> None:
    logits, target = torch.randn(4, 10), torch.arange(4)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        functional.cross_entropy(target, logits)  # type: ignore[arg-type, unused-ignore]


def test_mse_and_l1_are_symmetric() -> None:
    a, b = torch.randn(4), torch.randn(4)
    assert torch.equal(functional.mse_loss(a, b), functional.mse_loss(b, a))
    assert torch.equal(functional.l1_loss(a, b), functional.l1_loss(b, a))
