"""A close look gathers few numbers of any output, whatever its shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training import gradient_flow, train_smoke
from pytest_gradcheck.training.sampling import PLACES, Sampler
from tests.training.test_real_models import Calling, X, Y, mlp


def gathered(net: nn.Module, inputs: torch.Tensor) -> int:
    sampler = Sampler(net, [], Limits())
    sampler.open()
    net(inputs)
    return sampler.close([]).values.numel()


def test_of_an_output_of_one_dimension_some_places_are_gathered() -> None:
    assert gathered(nn.Sequential(nn.Flatten(0), nn.Sigmoid()), torch.randn(200_000, 4)) == PLACES
    assert gathered(nn.Sequential(nn.Flatten(0), nn.Sigmoid()), torch.randn(10, 4)) == 40


def test_an_output_without_dimensions_is_one_number() -> None:
    def gated(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(inputs) * self.gate(self.gain)
        return out

    def net() -> nn.Module:
        made = Calling(gated, net=mlp(), gate=nn.Sigmoid())
        made.gain = nn.Parameter(torch.tensor(5.0))
        return made

    run = train_smoke(net, [(X, Y)], steps=3, max_overhead=None)
    assert run.passed
    (seen,) = (layer for layer in run.health.samples[0].layers if layer.module == "gate")
    (wanted,) = (layer for layer in gradient_flow(net(), (X, Y)).layers if layer.module == "gate")
    assert seen.activation == pytest.approx(wanted.activation, rel=1e-6)
    assert (seen.saturated, wanted.saturated) == (1.0, 1.0)
