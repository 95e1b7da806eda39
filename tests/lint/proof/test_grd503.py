"""GRD503: by hand the loss is NaN from a logit of 17 on; the functions of torch are finite and right."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402 - only where torch is


def by_hand(p: Any, y: Any) -> Any:
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p))


def test_a_sigmoid_is_one_from_a_logit_of_seventeen_on() -> None:
    assert float(torch.sigmoid(torch.tensor(17.0))) == 1.0
    assert float(torch.sigmoid(torch.tensor(16.0))) < 1.0


def test_a_right_answer_gives_nan() -> None:
    logit = torch.tensor([17.0], requires_grad=True)
    loss = by_hand(torch.sigmoid(logit), torch.ones(1))
    loss.backward()
    assert loss.isnan().all()
    assert logit.grad is not None
    assert logit.grad.isnan().all()


@pytest.mark.parametrize("logit", [-200.0, -17.0, 0.3, 17.0, 200.0])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_the_fixed_ones_are_finite_and_right(logit: float, target: float) -> None:
    x, y = torch.tensor([logit], requires_grad=True), torch.tensor([target])
    for loss in (
        F.binary_cross_entropy(torch.sigmoid(x), y, reduction="none"),
        F.binary_cross_entropy_with_logits(x, y),
    ):
        (grad,) = torch.autograd.grad(loss.sum(), x)
        assert loss.isfinite().all()
        assert grad.isfinite().all()
    exact = torch.nn.functional.softplus(torch.tensor(logit, dtype=torch.float64)) - logit * target
    assert float(F.binary_cross_entropy_with_logits(x, y).detach()) == pytest.approx(float(exact), rel=1e-6, abs=1e-6)


def test_the_value_is_the_same_where_the_old_one_was_finite() -> None:
    p, y = torch.rand(100, generator=torch.Generator().manual_seed(0)).clamp(0.01, 0.99), torch.ones(100)
    assert torch.allclose(by_hand(p, y), F.binary_cross_entropy(p, y, reduction="none"))
