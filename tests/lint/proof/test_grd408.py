"""GRD408: functional dropout drops in evaluation; with training=self.training it does not, and trains as before."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is
from torch.nn import functional  # noqa: E402


class Bad(nn.Module):
    def forward(self, x: Any) -> Any:
        return functional.dropout(x, 0.5)


class Fixed(nn.Module):
    def forward(self, x: Any) -> Any:
        return functional.dropout(x, 0.5, training=self.training)


def test_eval_is_ignored_and_the_safe_fix_minds_it() -> None:
    x = torch.ones(10_000)
    torch.manual_seed(0)
    assert float(Bad().eval()(x).eq(0).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert not torch.equal(Bad().eval()(x), Bad().eval()(x))
    assert torch.equal(Fixed().eval()(x), x)


def test_in_training_nothing_changes() -> None:
    outputs = []
    for net in (Bad(), Fixed()):
        torch.manual_seed(0)
        outputs.append(net(torch.ones(100)))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("name", "drops"),
    [
        ("dropout", True),
        ("dropout1d", True),
        ("dropout2d", True),
        ("dropout3d", True),
        ("alpha_dropout", False),
        ("feature_alpha_dropout", False),
    ],
)
def test_the_defaults_that_the_rule_knows(name: str, drops: bool) -> None:
    x = (
        torch.ones(1, 64, 2, 2, 2)
        if name == "dropout3d"
        else torch.ones(1, 64, 2, 2)
        if name == "dropout2d"
        else torch.ones(1, 64, 2)
    )
    assert bool(getattr(functional, name)(x).ne(x).any()) is drops


class Dropped(nn.Module):
    def forward(self, x: Any) -> Any:
        return nn.Dropout(0.5)(x)


def test_a_dropout_made_in_forward_drops_in_evaluation_too() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000)
    assert 400 < int((Dropped().eval()(x) == 0).sum()) < 600
    assert int((nn.Sequential(nn.Dropout(0.5)).eval()(x) == 0).sum()) == 0
