"""The health rules against nets known to be healthy and nets known to be sick: the table of the design, as a test."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.health import GradientFlow
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.models.small import deep_mlp, residual_net
from pytest_gradcheck.training import gradient_flow


@pytest.fixture(autouse=True)
def seed() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def batch(size: int = 28, count: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(10, (count,), generator=generator)
    return torch.rand(count, 1, size, size, generator=generator), labels


HEALTHY: dict[str, Any] = {
    "ReLU He": lambda: deep_mlp(init="he"),
    "tanh Xavier": lambda: deep_mlp(activation="tanh", init="xavier"),
    "ReLU He, 8 layers": lambda: deep_mlp(8, init="he"),
    "three layers of different width": lambda: deep_mlp(3, width=256, init="he"),
    "residual": residual_net,
    "residual without BatchNorm": lambda: residual_net(norm=None),
    "AlexNet with BatchNorm": lambda: alexnet(norm="batch"),
}
# name: net, the rules that must be broken, and the measured gradient slope
SICK: dict[str, tuple[Any, set[str], float | None]] = {
    "sigmoid default": (lambda: deep_mlp(activation="sigmoid"), {"vanishing"}, 0.85),
    "sigmoid Xavier": (lambda: deep_mlp(activation="sigmoid", init="xavier"), {"vanishing"}, 0.63),
    "ReLU default": (deep_mlp, {"vanishing"}, 0.36),
    "ReLU N(0,1)": (lambda: deep_mlp(init="normal:1.0"), {"exploding activations", "initial loss"}, 0.0),
    "ReLU-50 N(0,1)": (lambda: deep_mlp(50, init="normal:1.0"), {"exploding", "initial loss"}, None),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_nets_break_no_rule(name: str) -> None:
    flow = gradient_flow(HEALTHY[name](), batch(96, 8) if "AlexNet" in name else batch())
    assert flow.healthy, str(flow)
    assert not flow.vanishing and not flow.exploding
    assert flow.gradient_slope is not None
    assert abs(flow.gradient_slope) < 0.1 or len(flow.layers) < 7


@pytest.mark.parametrize("name", SICK)
def test_sick_nets_break_the_rule_of_their_illness(name: str) -> None:
    make, rules, slope = SICK[name]
    flow = gradient_flow(make(), batch())
    assert rules <= {symptom.rule for symptom in flow.symptoms}
    assert flow.vanishing is ("vanishing" in rules)
    assert flow.exploding is any(rule.startswith("exploding") for rule in rules)
    if slope is not None:
        assert flow.gradient_slope == pytest.approx(slope, abs=0.06)


def test_norms_are_those_of_the_gradient_and_the_weight() -> None:
    net, (inputs, labels) = deep_mlp(3), batch()
    grad = torch.autograd.grad(nn.functional.cross_entropy(net(inputs), labels), net[1].weight)[0]  # type: ignore[arg-type]
    first = gradient_flow(net, (inputs, labels)).layers[0]
    assert (first.module, first.kind) == ("1", "Linear")
    assert first.gradient == pytest.approx(grad.norm().item(), rel=1e-5)


def test_dead_units_are_counted_over_samples_and_places() -> None:
    conv, relu = nn.Conv2d(1, 4, 1), nn.ReLU()
    nn.init.constant_(conv.weight, 0.0)
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([-1.0, -1.0, -1.0, 1.0]))  # type: ignore[union-attr]
    net = nn.Sequential(conv, relu, nn.Flatten(), nn.Linear(4 * 28 * 28, 10))
    flow = gradient_flow(net, batch())
    assert [layer.dead for layer in flow.layers if layer.kind == "ReLU"] == [0.75]
    assert [symptom.module for symptom in flow.symptoms if symptom.rule == "dead ReLU"] == ["1"]
    assert gradient_flow(net, batch(), limits=Limits(dead=0.8)).layers[1].dead == 0.75
    assert not [s for s in gradient_flow(net, batch(), limits=Limits(dead=0.8)).symptoms if s.rule == "dead ReLU"]


@pytest.mark.parametrize("kind", ["tanh", "sigmoid"])
def test_saturation_is_a_symptom(kind: str) -> None:
    rules = [
        symptom.rule for symptom in gradient_flow(deep_mlp(3, activation=kind, init="normal:3.0"), batch()).symptoms
    ]
    assert "saturation" in rules


def test_a_dead_net_vanishes_although_no_slope_can_be_drawn() -> None:
    net = deep_mlp(4)
    nn.init.constant_(net[1].bias, -1e3)  # type: ignore[arg-type]
    flow = gradient_flow(net, batch())
    assert flow.vanishing
    assert flow.gradient_slope is None
    assert "exactly zero" in str(flow)


def test_unscaled_input_is_said_and_limits_can_be_set() -> None:
    inputs, labels = batch()
    assert "input" in {symptom.rule for symptom in gradient_flow(deep_mlp(3), (inputs * 255, labels)).symptoms}
    strict = gradient_flow(residual_net(), batch(), limits=Limits(slope=0.001, span=0.1))
    assert not strict.healthy


def test_everything_is_left_as_found() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(2 * 26 * 26, 10)
    ).eval()
    before, random = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    gradient_flow(net, batch())
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not net.training
    assert all(item.grad is None for item in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())


def test_wrong_questions_are_one_clear_error() -> None:
    with pytest.raises(UsageProblem, match=r"ReLU is no nn.Module with trainable parameters"):
        gradient_flow(nn.ReLU(), batch())
    with pytest.raises(UsageProblem, match="batch 0 is a Tensor, but it must be a pair"):
        gradient_flow(deep_mlp(3), batch()[0])


def test_json_form_and_text() -> None:
    flow = gradient_flow(deep_mlp(50, init="normal:1.0"), batch())
    data = json.loads(json.dumps(flow.to_dict(), allow_nan=False))
    back = GradientFlow.from_dict(data)
    assert str(back) == str(flow)
    assert data["exploding"] is True
    text = str(flow)
    assert text.startswith("gradient flow of Sequential: exploding")
    assert "... 83 layers ..." in text
    assert all(len(line) <= 120 for line in text.splitlines())
    assert math.isnan(back.loss)
    with pytest.raises(ValueError, match="version 2"):
        GradientFlow.from_dict({**data, "version": 2})
    calm = str(gradient_flow(deep_mlp(3, init="he"), batch()))
    assert calm.startswith("gradient flow of Sequential: healthy\n")
    assert "decades a layer" in calm


def test_a_lazy_net_keeps_the_mode_of_each_module() -> None:
    net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Sequential(nn.BatchNorm1d(8)), nn.Linear(8, 3))
    net[1].eval(), net[2].eval()
    modes = [module.training for module in net.modules()]
    gradient_flow(net, (torch.randn(8, 6), torch.arange(8) % 3))
    assert [module.training for module in net.modules()] == modes
