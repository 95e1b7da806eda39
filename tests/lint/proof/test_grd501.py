"""GRD501: the gradient of log(softmax) is NaN at a logit gap of 200, that of log_softmax is not; values agree."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402 - only where torch is

SOFTMAX = (lambda x: torch.log(torch.softmax(x, -1)), lambda x: torch.log_softmax(x, -1))
SIGMOID = (lambda x: torch.log(torch.sigmoid(x)), functional.logsigmoid)


def value_and_gradient(function: Any, logits: list[float]) -> tuple[Any, Any]:
    x = torch.tensor(logits, requires_grad=True)
    out = function(x)
    out.sum().backward()
    return out.detach(), x.grad


@pytest.mark.parametrize(("bad", "fixed"), [SOFTMAX, SIGMOID], ids=["softmax", "sigmoid"])
def test_bad_is_nan_and_fixed_is_finite(bad: Any, fixed: Any) -> None:
    logits = [200.0, 0.0] if bad is SOFTMAX[0] else [0.0, -200.0]
    value, gradient = value_and_gradient(bad, logits)
    assert value.min() == -torch.inf
    assert not gradient.isfinite().all()
    value, gradient = value_and_gradient(fixed, logits)
    assert value.min() == -200
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("bad", "fixed"), [SOFTMAX, SIGMOID], ids=["softmax", "sigmoid"])
def test_the_safe_fix_keeps_what_was_finite(bad: Any, fixed: Any) -> None:
    torch.manual_seed(0)
    for old, new in zip(value_and_gradient(bad, V), value_and_gradient(fixed, V), strict=True):
        assert torch.allclose(old, new, atol=1e-5)


V = [3.0, -2.0, 0.5, 1.0, -7.0]


def test_the_gap_on_the_page() -> None:
    assert torch.softmax(torch.tensor([103.0, 0.0]), -1)[1] > 0
    assert torch.softmax(torch.tensor([104.0, 0.0]), -1)[1] == 0
    assert torch.sigmoid(torch.tensor(-88.0)) > 0
    assert torch.sigmoid(torch.tensor(-89.0)) == 0
