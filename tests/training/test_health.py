"""What a run says about its gradients: the numbers are right, the rules see what was planted, and nothing changes."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model import Health, Limits, TrainingReport
from pytest_gradcheck.models.small import deep_mlp, residual_net
from pytest_gradcheck.training import gradient_flow, train_smoke, watch

GENERATOR = torch.Generator().manual_seed(3)
LABELS = torch.randint(10, (64,), generator=GENERATOR)
IMAGES = torch.rand(64, 1, 28, 28, generator=GENERATOR)
BATCH = [(IMAGES, LABELS)]


def health(model: Any, **options: Any) -> Health:
    return train_smoke(model, BATCH, **{"remedies": None, "max_overhead": None, "steps": 9, **options}).health


def test_norms_by_parameter_and_step_are_those_of_the_gradients() -> None:
    net = deep_mlp(3, 16)
    loss = nn.functional.cross_entropy(net(IMAGES), LABELS)
    wanted = [grad.norm().item() for grad in torch.autograd.grad(loss, list(net.parameters()))]
    seen = health(net)
    assert seen.parameters == tuple(name for name, _ in net.named_parameters())
    assert seen.steps == tuple(range(9))
    assert seen.gradient[0] == pytest.approx(wanted, rel=1e-5)


def test_close_looks_come_at_powers_of_two_and_in_the_last_step() -> None:
    assert [sample.step for sample in health(deep_mlp(3, 16), steps=12).samples] == [0, 1, 2, 4, 8, 11]


def test_a_close_look_is_what_gradient_flow_measures_exactly() -> None:
    net = deep_mlp(8, 64, activation="tanh", init="xavier")
    flow, sample = gradient_flow(net, BATCH[0]), health(net).samples[0]
    assert [layer.module for layer in sample.layers] == [layer.module for layer in flow.layers]
    for seen, wanted in zip(sample.layers, flow.layers, strict=True):
        for name in ("gradient", "weight", "activation", "saturated"):  # so small a net that nothing is left out
            value = getattr(wanted, name)
            assert getattr(seen, name) == (None if value is None else pytest.approx(value, rel=1e-4)), name
    assert sample.gradient_slope == pytest.approx(flow.gradient_slope, abs=1e-3)


def test_large_layers_are_sampled_within_a_few_percent() -> None:
    net = residual_net()
    flow, sample = gradient_flow(net, BATCH[0]), health(net).samples[0]
    for seen, wanted in zip(sample.layers, flow.layers, strict=True):
        assert seen.activation == pytest.approx(wanted.activation, rel=0.15)


def test_histograms_count_magnitudes_by_half_decades() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))

    def loss(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return outputs[:, 0].mean() * 3e-3  # the bias's gradient is (0.003, 0)

    weight, bias = health(net, loss=loss).samples[0].histograms
    assert (bias.parameter, bias.zeros, bias.lowest, bias.counts) == ("1.bias", 0.5, -3.0, (1,))
    assert weight.zeros == pytest.approx(0.5, abs=0.1)
    assert sum(weight.counts) == round(512 * (1 - weight.zeros))
    nothing = health(net, loss=lambda outputs, _: (outputs * 0).sum()).samples[0].histograms[0]
    assert (nothing.zeros, nothing.counts) == (1.0, ())


def test_update_ratios_are_rate_times_gradient_over_weight() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    weight = net[1].weight.detach().norm().item()  # type: ignore[operator]
    seen = health(net, lr=0.3)
    row = dict(zip(seen.parameters, seen.gradient[0], strict=True))
    assert seen.updates[0].tensor == "1.weight"
    assert seen.updates[0].ratio == pytest.approx(0.3 * row["1.weight"] / weight, rel=1e-5)
    clipped = health(net, lr=0.3, clip=1e-3)
    assert clipped.updates[0].ratio < 0.01 * seen.updates[0].ratio


def test_the_first_update_of_adam_is_its_rate_in_every_number() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    weight = net[1].weight.detach().norm().item()  # type: ignore[operator]
    images = IMAGES.clamp(min=0.1)  # no number without a gradient
    options: dict[str, Any] = {"remedies": None, "max_overhead": None}
    updates = train_smoke(net, [(images, LABELS)], steps=6, lr=1e-4, optimizer="adam", **options).health.updates
    assert [update.step for update in updates] == [0, 1, 2, 4, 5]
    assert {(update.tensor, update.rate) for update in updates} == {("1.weight", 1e-4)}
    assert updates[0].ratio == pytest.approx(1e-4 * math.sqrt(7840) / weight, rel=1e-3)


def test_a_step_that_fails_before_its_update_has_none() -> None:
    batches = [(IMAGES, LABELS), (IMAGES * math.nan, LABELS)]
    run = train_smoke(deep_mlp(3), batches, steps=2, lr=1e-4, optimizer="adam", remedies=None)
    assert run.failure is not None
    assert [update.step for update in run.health.updates] == [0]


def test_lazy_layers_are_weighed_when_they_have_their_weights() -> None:
    assert health(lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10))).updates[0].tensor == "1.weight"


def test_dead_units_and_saturation_are_found_in_their_step() -> None:
    net = deep_mlp(4, 32, init="he")
    nn.init.constant_(net[3].bias, -100.0)  # type: ignore[arg-type]
    assert ("dead ReLU", "4", 0) in {(each.rule, each.module, each.step) for each in health(net).findings}
    seen = health(deep_mlp(3, 32, activation="tanh", init="normal:3.0"))
    assert "saturation" in {each.rule for each in seen.findings}


def test_the_start_is_judged() -> None:
    run = train_smoke(deep_mlp(3), [(IMAGES * 255, LABELS)], steps=1, lr=1e-9, remedies=None)
    assert "input" in {each.rule for each in run.health.findings}
    assert "initial loss" in {each.rule for each in health(deep_mlp(init="normal:1.0"), lr=1e-30).findings}


@pytest.mark.parametrize("make", [lambda: deep_mlp(init="he"), residual_net, lambda: residual_net(norm=None)])
def test_a_healthy_run_has_no_findings(make: Any) -> None:
    assert health(make, lr=0.01).findings == ()


def test_early_warning_comes_before_the_nan() -> None:
    run = train_smoke(lambda: deep_mlp(4, 64, init="he"), BATCH, lr=300.0, steps=40, remedies=None)
    assert run.failure is not None
    warning = run.health.warning
    assert warning is not None
    assert warning.step < run.failure.step
    before = run.failure.step - warning.step
    assert f"seen {before} step" in " ".join(run.failure.evidence)
    assert run.failure.cause == "learning rate"


def test_a_large_update_warns_and_a_single_huge_one_is_no_error() -> None:
    limits = Limits(update_warn=1e-4, update=1e9)
    levels = {each.level for each in health(deep_mlp(3, init="he"), lr=0.05, limits=limits).findings}
    assert levels == {"warning"}
    seen = health(deep_mlp(3, init="he"), lr=0.05, limits=Limits(update_warn=1e-5, update=1e-4))
    assert seen.warning is not None
    assert seen.warning.step == 1  # two steps running, never in the first


def test_limits_are_checked_and_each_says_what_it_is_and_where_it_comes_from() -> None:
    with pytest.raises(UsageProblem, match="limits: dead is -1, but it must be a positive number"):
        Limits(dead=-1)
    with pytest.raises(UsageProblem, match="limits is a dict, but it must be a Limits"):
        train_smoke(deep_mlp(3), BATCH, limits={"dead": 0.3})  # type: ignore[arg-type]


def test_looking_leaves_no_hooks_and_changes_no_number() -> None:
    net = residual_net()
    kept = train_smoke(net, BATCH, steps=4, max_overhead=None)
    assert not any(module._forward_hooks for module in net.modules())
    bare = train_smoke(net, BATCH, steps=4, max_overhead=1e-12)
    assert kept.loss == bare.loss


def test_tied_and_frozen_weights_are_not_taken_for_dead_ones() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(784, 784), nn.Linear(784, 784), nn.Linear(784, 10)
            self.second.weight = self.first.weight
            self.third.weight.requires_grad_(False)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.third(self.second(self.first(images.flatten(1))))
            return out

    layers = health(Tied).samples[0].layers
    assert layers[0].gradient == layers[1].gradient != 0
    assert layers[2].gradient is None


def test_long_runs_keep_a_bounded_chart() -> None:
    seen = health(nn.Sequential(nn.Flatten(), nn.Linear(784, 2)), steps=1200, lr=1e-6, loss=lambda out, _: out.mean())
    assert 200 < len(seen.steps) <= 513
    assert list(seen.steps) == sorted(seen.steps)


def test_json_holds_it_all_and_comes_back() -> None:
    run = train_smoke(lambda: deep_mlp(4, 64, init="he"), BATCH, lr=300.0, steps=40, remedies=None)
    data = json.loads(json.dumps(run.to_dict(), allow_nan=False))
    back = TrainingReport.from_dict(data)
    assert back.health == run.health
    assert data["health"]["samples"][0]["layers"][0]["module"] == "1"
    assert math.isfinite(back.health.overhead)
    assert "health findings:\n  step 0: " in str(run) or "early warning" in str(run)


def test_a_loss_that_ends_far_above_its_start_is_named_in_runs_and_in_watched_loops() -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(4, (256,))

    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    options: dict[str, Any] = {"optimizer": "adam", "steps": 30, "remedies": None}
    run = train_smoke(net(), [(inputs, labels)], lr=100.0, **options)
    assert run.passed, str(run)
    (found,) = [each for each in run.health.findings if each.rule == "divergence"]
    assert found.step == 29
    assert found.message.startswith("the last losses average ")
    assert found.message.endswith(" times the first one; the limit is 10 times")
    fine = train_smoke(net(), [(inputs, labels)], lr=1.0, **options)  # starts badly, and comes back
    assert max(fine.loss) > 100 * fine.loss[0]
    assert "divergence" not in {each.rule for each in fine.health.findings}
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=100.0)
    with watch(model, optimizer) as seen:
        for _ in range(30):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    assert "divergence" in {each.rule for each in seen.health.findings}


def test_a_net_without_any_gradient_has_collapsed_whatever_its_loss() -> None:
    def dead() -> nn.Module:
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
        nn.init.constant_(net[1].bias, -100.0)  # type: ignore[arg-type]
        nn.init.constant_(net[3].bias, 0.0)  # type: ignore[arg-type]
        with torch.no_grad():
            net[3].bias[0] = 40.0  # type: ignore[operator]
        return net

    run = train_smoke(dead(), BATCH, lr=1e-3, steps=4, remedies=None)
    assert run.failure is not None
    assert run.failure.value == "collapse"
    assert run.failure.evidence[1] == "every gradient of a weight is exactly zero"
    sparse = torch.zeros(64, 784)
    sparse[:, :9] = torch.rand(64, 9)
    wide = nn.Sequential(nn.Linear(784, 50), nn.ReLU(), nn.Linear(50, 10))
    nn.init.constant_(wide[2].bias, 0.0)  # type: ignore[arg-type]
    with torch.no_grad():
        wide[2].bias[0] = 40.0  # type: ignore[operator]
    assert train_smoke(wide, [(sparse, LABELS)], lr=1e-6, steps=4, remedies=None).passed
