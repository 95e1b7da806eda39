"""The reference nets: d2l's AlexNet to the parameter, from 64 pixels up, and two small nets with known behaviour."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.models.small import deep_mlp, residual_net


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def linears(net: nn.Module) -> list[nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def shapes(net: nn.Module, images: torch.Tensor) -> list[tuple[int, ...]]:
    """Output shapes of every layer."""
    seen: list[tuple[int, ...]] = []
    layers = [layer for layer in net.modules() if not list(layer.children())]
    handles = [layer.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:]))) for layer in layers]
    net(images)
    for handle in handles:
        handle.remove()
    return seen


def test_alexnet_is_the_d2l_variant_layer_by_layer() -> None:
    net = alexnet()
    assert count(net) == 46_764_746
    assert shapes(net, torch.zeros(1, 1, 224, 224)) == [
        (96, 54, 54), (96, 54, 54), (96, 26, 26),
        (256, 26, 26), (256, 26, 26), (256, 12, 12),
        (384, 12, 12), (384, 12, 12), (384, 12, 12), (384, 12, 12), (256, 12, 12), (256, 12, 12), (256, 5, 5),
        (6400,), (4096,), (4096,), (4096,), (4096,), (4096,), (4096,), (10,),
    ]  # fmt: skip
    assert count(net) == 46_764_746
    assert [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_batch_norm_follows_each_convolution() -> None:
    layers = list(alexnet(norm="batch").features)
    after = [type(following) for layer, following in pairwise(layers) if isinstance(layer, nn.Conv2d)]
    assert after == [nn.BatchNorm2d] * 5


@pytest.mark.parametrize("size", [64, 65, 96])
def test_alexnet_fits_itself_to_the_first_images_and_keeps_its_parameters(size: int) -> None:
    net = alexnet(classes=7)
    before = list(net.parameters())
    assert net(torch.rand(2, 1, size, size)).shape == (2, 7)
    assert all(new is old for new, old in zip(net.parameters(), before, strict=True))
    with pytest.raises(RuntimeError):
        net(torch.rand(2, 1, 224, 224))  # fitted once, then an ordinary net


def test_a_refitted_layer_keeps_the_chosen_initialisation() -> None:
    net = alexnet(init="normal:0.01")
    net(torch.rand(1, 1, 96, 96))
    first = linears(net)[0]
    assert first.in_features == 256
    assert abs(first.weight.std().item() - 0.01) < 1e-4


def test_below_64_pixels_and_other_shapes_are_refused() -> None:
    with pytest.raises(UsageProblem, match=r"needs images .* from 64 pixels, not 2 x 1 x 28 x 28"):
        alexnet()(torch.rand(2, 1, 28, 28))
    with pytest.raises(UsageProblem, match="not 1 x 224 x 224"):
        alexnet()(torch.rand(1, 224, 224))


@pytest.mark.parametrize(
    "init,wanted",
    [
        ("xavier", math.sqrt(2 / (128 + 128))),
        ("he", math.sqrt(2 / 128)),
        ("default", math.sqrt(1 / (3 * 128))),
        ("normal:0.5", 0.5),
    ],
)
def test_initialisations_have_the_deviations_of_their_sources(init: str, wanted: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = linears(deep_mlp(4, init=init))[1].weight
    assert weight.std().item() == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize(
    "choice,message",
    [
        ({"init": "xavir"}, "init is 'xavir', but it must be one of .*did you mean 'xavier'"),
        ({"init": "normal:wide"}, "init is 'normal:wide', but \"normal:\" needs a positive standard deviation"),
        ({"init": "normal:-1"}, "needs a positive standard deviation"),
        ({"norm": "layer"}, "norm is 'layer', but it must be one of 'batch'"),
        ({"activation": "rulu"}, "activation is 'rulu', .* did you mean 'relu'"),
    ],
)
def test_unknown_choices_are_named(choice: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageProblem, match=message):
        residual_net(**choice)


def test_deep_mlp_shows_the_known_decay_of_gradients() -> None:
    """PyTorch's default shrinks a ReLU net's gradient by about sqrt(6) a layer; He keeps it."""

    def slope(init: str) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = deep_mlp(20, init=init)
            loss = nn.functional.cross_entropy(net(torch.randn(64, 784)), torch.randint(10, (64,)))
        grads = torch.autograd.grad(loss, [layer.weight for layer in linears(net)])
        norms = [math.log10(grad.norm().item()) for grad in grads]
        return (norms[18] - norms[1]) / 17

    assert slope("default") == pytest.approx(math.log10(math.sqrt(6)), abs=0.08)
    assert abs(slope("he")) < 0.05


def test_nets_take_any_batch_and_size() -> None:
    assert deep_mlp(3, classes=4)(torch.rand(2, 1, 28, 28)).shape == (2, 4)
    assert residual_net(channels=3, classes=5, norm=None)(torch.rand(2, 3, 33, 17)).shape == (2, 5)
