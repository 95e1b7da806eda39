"""GRD407: what cross-entropy of probabilities and BCE with logits of a sigmoid cannot get below."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402 - only where torch is


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_floor_of_cross_entropy_of_a_softmax(classes: int) -> None:
    sure = torch.full((1, classes), -100.0, dtype=torch.float64)
    sure[0, 0] = 100.0
    right = torch.tensor([0])
    floor = math.log(1 + (classes - 1) / math.e)
    assert float(functional.cross_entropy(sure, right)) == pytest.approx(0.0, abs=1e-12)
    for activation in (lambda x: x.softmax(-1), torch.sigmoid):
        assert float(functional.cross_entropy(activation(sure), right)) == pytest.approx(floor)
    if classes == 10:
        assert f"{floor:.2f}" == "1.46"


def test_the_gradient_at_equal_logits_is_one_over_the_classes() -> None:
    def gradient(activation: Any) -> Any:
        logits = torch.zeros(1, 10, dtype=torch.float64, requires_grad=True)
        loss = functional.cross_entropy(activation(logits), torch.tensor([0]))
        return torch.autograd.grad(loss, logits)[0]

    plain, squeezed = gradient(lambda x: x), gradient(lambda x: x.softmax(-1))
    torch.testing.assert_close(squeezed, plain / 10)


def test_log_softmax_twice_changes_nothing() -> None:
    logits = torch.randn(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.arange(4)
    twice = functional.cross_entropy(logits.log_softmax(-1), target)
    torch.testing.assert_close(twice, functional.cross_entropy(logits, target))


@pytest.mark.parametrize(("logit", "target", "floor"), [(100.0, 1.0, 0.31), (-100.0, 0.0, 0.69)])
def test_the_floors_of_a_second_sigmoid(logit: float, target: float, floor: float) -> None:
    x, y = torch.tensor([logit]), torch.tensor([target])
    assert float(functional.binary_cross_entropy_with_logits(x, y)) == pytest.approx(0.0, abs=1e-6)
    twice = functional.binary_cross_entropy_with_logits(torch.sigmoid(x), y)
    assert float(twice) == pytest.approx(floor, abs=0.005)


def test_nll_of_probabilities_is_minus_p_and_of_logits_has_no_bound() -> None:
    p = torch.tensor([[0.9, 0.1]])
    assert float(functional.nll_loss(p, torch.tensor([0]))) == pytest.approx(-0.9)
    assert float(functional.nll_loss(torch.tensor([[1e6, 0.0]]), torch.tensor([0]))) == pytest.approx(-1e6)


def test_bce_of_logits_raises() -> None:
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        functional.binary_cross_entropy(torch.tensor([2.0]), torch.tensor([1.0]))
