"""Two small nets with known gradient behaviour: a deep multilayer perceptron and a residual net."""

from __future__ import annotations

import torch
from torch import nn

from pytest_gradcheck.models.choices import ACTIVATIONS, fill, normalisation, pick


def deep_mlp(
    depth: int = 20,
    width: int = 128,
    inputs: int = 784,
    classes: int = 10,
    activation: str = "relu",
    init: str = "default",
) -> nn.Sequential:
    """A multilayer perceptron whose depth makes a poor initialisation visible.

    With PyTorch's default initialisation the gradient of a ReLU net shrinks by a factor of sqrt(6) a layer; with "he"
    it keeps its size.

    Args:
        depth: Number of linear layers.
        width: Of the hidden layers.
        inputs: Features of one sample after flattening; 784 is a 28 x 28 image.
        classes: Width of the last layer.
        activation: "relu", "sigmoid", "tanh", "gelu" or "leaky_relu", after every linear layer but the last.
        init: "default", "xavier", "he" or "normal:0.01".

    Returns:
        A module from float tensors (batch, ...) to scores (batch, classes).

    Raises:
        UsageProblem: A choice is unknown.
    """
    act = ACTIVATIONS[pick("activation", activation, ACTIVATIONS)]
    layers: list[nn.Module] = [nn.Flatten()]
    for index in range(depth):
        last = index == depth - 1
        layers.append(nn.Linear(width if index else inputs, classes if last else width))
        if not last:
            layers.append(act())
    net = nn.Sequential(*layers)
    fill(net, init)
    return net


class _Block(nn.Module):
    """Two convolutions with a shortcut past them."""

    def __init__(self, width: int, norm: str | None, act: type[nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), *normalisation(norm, width), act(),
            nn.Conv2d(width, width, 3, padding=1), *normalisation(norm, width),
        )  # fmt: skip
        self.act = act()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.act(maps + self.body(maps))
        return out


class ResidualNet(nn.Module):
    """A stem that halves the image, residual blocks of one width, average pooling and one linear layer."""

    def __init__(self, channels: int, classes: int, width: int, blocks: int, norm: str | None, activation: str) -> None:
        super().__init__()
        act = ACTIVATIONS[pick("activation", activation, ACTIVATIONS)]
        stem = [nn.Conv2d(channels, width, 3, stride=2, padding=1), *normalisation(norm, width), act()]
        self.features = nn.Sequential(*stem, *(_Block(width, norm, act) for _ in range(blocks)))
        self.classifier = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (batch, classes) of images (batch, channels, height, width) of any size."""
        scores: torch.Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return scores


def residual_net(
    channels: int = 1,
    classes: int = 10,
    width: int = 16,
    blocks: int = 3,
    norm: str | None = "batch",
    init: str = "default",
    activation: str = "relu",
) -> ResidualNet:
    """A small residual net (He et al., CVPR 2016) that trains within seconds at 28 pixels.

    Args:
        channels: Of the images.
        classes: Width of the last layer.
        width: Channels of every block.
        blocks: Residual blocks, of two convolutions each.
        norm: "batch" or None.
        init: "default", "xavier", "he" or "normal:0.01".
        activation: "relu", "sigmoid", "tanh", "gelu" or "leaky_relu".

    Returns:
        A module from float images (batch, channels, height, width) to scores (batch, classes).

    Raises:
        UsageProblem: A choice is unknown.
    """
    net = ResidualNet(channels, classes, width, blocks, norm, activation)
    fill(net, init)
    return net
