"""GRD610: a constructor given a tensor makes a module or raises; the safe fix applies the layer."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

X = torch.linspace(-2, 2, 16).reshape(1, 1, 4, 4)


@pytest.mark.parametrize("layer", [nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Identity, nn.Flatten])
def test_it_is_a_module_that_the_next_layer_cannot_take(layer: Any) -> None:
    made = layer(X)
    assert isinstance(made, nn.Module)
    with pytest.raises(TypeError):
        nn.Linear(4, 4)(made)


@pytest.mark.parametrize("layer", [nn.Sigmoid, nn.Tanh, nn.LogSigmoid])
def test_others_raise(layer: Any) -> None:
    with pytest.raises(TypeError, match="positional argument"):
        layer(X)


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        (lambda: nn.ReLU()(X), X.clamp(min=0)),
        (lambda: nn.Sigmoid()(X), 1 / (1 + torch.exp(-X))),
        (lambda: nn.MaxPool2d(2)(X), X[..., 1::2, 1::2]),
        (lambda: nn.Softmax(dim=1)(X), torch.ones_like(X)),
        (lambda: nn.Flatten()(X), X.reshape(1, 16)),
    ],
)
def test_the_fixed_one_computes(fixed: Any, expected: Any) -> None:
    assert torch.allclose(fixed(), expected)
