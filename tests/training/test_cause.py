"""Each cause is named by its own evidence, and stays unnamed without it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.model.health import slope
from pytest_gradcheck.models.small import deep_mlp
from pytest_gradcheck.training import train_smoke

if TYPE_CHECKING:
    from collections.abc import Callable

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Formula(nn.Module):
    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.inner, self.formula = nn.Linear(6, 3), formula

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.formula(self.inner(inputs))


def _with_nan() -> nn.Module:
    model = nn.Linear(6, 3)
    nn.init.constant_(model.weight, math.nan)
    return model


WIDE = torch.rand(8, 784, generator=torch.Generator().manual_seed(0))
CASES: dict[str, tuple[Any, Any, dict[str, Any], str | None, str]] = {
    "the batch": (lambda: nn.Linear(6, 3), X / 0, {}, "the batch", "inputs held inf before the model saw them"),
    "the given weights": (_with_nan, X, {}, "the given weights", "weight was not finite when the run began"),
    "float16": (
        lambda: nn.Linear(6, 3), X * 1e6,
        {"amp": "float16"}, "reduced precision", "the same step in float32 has loss",
    ),
    "log in forward": (
        lambda: Formula(lambda h: (h * 0).log()), X, {}, "domain error", "aten.log left its domain at inputs no",
    ),
    "sqrt in backward": (
        lambda: Formula(lambda h: (h * 0).sqrt()), X, {},
        "domain error", "the derivative of sqrt is not finite where its forward was evaluated",
    ),
    "norm at zero": (
        lambda: Formula(lambda h: h / (h * 0).norm()), X, {}, "domain error", "aten.div left its domain",
    ),
    "unscaled": (
        lambda: nn.Sequential(nn.Linear(784, 64), nn.Linear(64, 3)),
        WIDE * 255,
        {"lr": 1.0, "steps": 40, "loss": lambda o, y: (o - 1).square().mean()},
        "unscaled input", "the inputs of this step span 0.0",
    ),
    "initialisation": (
        lambda: deep_mlp(50, init="normal:1.0"), WIDE, {}, "initialisation", "activations grow by 0.",
    ),
    "learning rate": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3)), X, {"lr": 1e4, "loss": lambda o, y: o.square().mean()},
        "learning rate", "(learning rate 10000)",
    ),
    "unknown": (lambda: Formula(lambda h: h * math.nan), X, {}, None, ""),
}  # fmt: skip


@pytest.mark.parametrize("model,inputs,options,cause,said", CASES.values(), ids=CASES)
def test_each_cause_by_its_evidence(
    model: Any, inputs: Any, options: dict[str, Any], cause: str | None, said: str
) -> None:
    run = train_smoke(model, [(inputs, Y)], **options)
    assert run.failure is not None
    assert run.failure.cause == cause
    assert said in " | ".join(run.failure.evidence)
    assert (f"likely cause: {cause}" in str(run)) is (cause is not None)


def test_adaptive_optimizers_claim_no_update_ratio() -> None:
    run = train_smoke(lambda: deep_mlp(4, width=32), [(WIDE, Y)], optimizer="adam", lr=1e18)
    assert run.failure is not None
    assert run.failure.cause is None


def test_slopes_are_least_squares() -> None:
    assert slope([1.0, 10.0, 100.0, 1000.0]) == pytest.approx(1)
    assert slope([1.0, 10.0, 1.0]) == pytest.approx(0)
    assert slope([1.0, 2.0]) is None
    assert slope([1.0, 0.0, 2.0]) is None
