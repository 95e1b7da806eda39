"""AlexNet as "Dive into Deep Learning" builds it (section 8.1, https://d2l.ai): grey images, ten classes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.models.choices import ACTIVATIONS, fill, normalisation, pick

SMALLEST = 64
_CHANNELS = (96, 256, 384, 384, 256)
_HIDDEN = 4096


class AlexNet(nn.Module):
    """Five convolutions and three linear layers; see `alexnet` for the choices.

    The net is built for 224 pixels. The first forward fits it to the images that come, once: other sizes need another
    width of the first linear layer, whose weights are then drawn anew (in place, so optimizers made before stay right),
    and below 65 pixels the first convolution steps by 2 instead of 4, because less than one pixel would be left.
    """

    def __init__(self, channels: int, classes: int, norm: str | None, init: str, activation: str) -> None:
        super().__init__()
        act = ACTIVATIONS[pick("activation", activation, ACTIVATIONS)]
        first, *rest = _CHANNELS
        layers: list[nn.Module] = [nn.Conv2d(channels, first, 11, stride=4, padding=1), *normalisation(norm, first)]
        layers += [act(), nn.MaxPool2d(3, 2)]
        for index, (before, after) in enumerate(pairwise((first, *rest))):
            kernel = 5 if index == 0 else 3
            layers += [nn.Conv2d(before, after, kernel, padding=kernel // 2), *normalisation(norm, after), act()]
            if index in (0, 3):
                layers.append(nn.MaxPool2d(3, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(_CHANNELS[-1] * _side(224) ** 2, _HIDDEN), act(), nn.Dropout(0.5),
            nn.Linear(_HIDDEN, _HIDDEN), act(), nn.Dropout(0.5),
            nn.Linear(_HIDDEN, classes),
        )  # fmt: skip
        self.init = init
        self.fitted = False
        fill(self, init)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores (batch, classes) of images (batch, channels, height, width), both at least 64 pixels.

        Raises:
            UsageProblem: The images are smaller, or (after the first forward) of another size than the first ones.
        """
        if not self.fitted:
            self._fit(images)
        scores: torch.Tensor = self.classifier(self.features(images))
        return scores

    @torch.no_grad()
    def _fit(self, images: torch.Tensor) -> None:
        if images.dim() != 4 or min(images.shape[-2:]) < SMALLEST:
            shape = " x ".join(map(str, images.shape))
            raise UsageProblem(
                f"AlexNet needs images (batch, channels, height, width) from {SMALLEST} pixels, not {shape}"
            )
        height, width = images.shape[-2:]
        step, linear = self.features[0], self.classifier[1]
        assert isinstance(step, nn.Conv2d) and isinstance(linear, nn.Linear)
        if min(height, width) == SMALLEST:
            step.stride = (2, 2)
        needed = _CHANNELS[-1] * _side(height, step.stride[0]) * _side(width, step.stride[0])
        if needed != linear.in_features:
            linear.in_features = needed
            linear.weight.data = linear.weight.data.new_empty(linear.out_features, needed)
            linear.reset_parameters()
            fill(linear, self.init)
        self.fitted = True


def _side(pixels: int, stride: int = 4) -> int:
    """Height (or width) of the last feature map: one convolution of 11, then three poolings of 3 by 2."""
    side = (pixels + 2 - 11) // stride + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def alexnet(
    channels: int = 1,
    classes: int = 10,
    norm: str | None = None,
    init: str = "default",
    activation: str = "relu",
) -> AlexNet:
    """AlexNet (d2l variant): 46,764,746 parameters at one channel, ten classes and 224 pixels; works from 64 pixels up.

    Args:
        channels: Of the images.
        classes: Width of the last layer.
        norm: "batch" puts BatchNorm2d between each convolution and its activation; None puts nothing.
        init: Weights of convolutions and linear layers: "default" (PyTorch's), "xavier", "he", or "normal:0.01".
        activation: "relu", "sigmoid", "tanh", "gelu" or "leaky_relu".

    Returns:
        A module from float images (batch, channels, height, width) to scores (batch, classes). Its weights come from
        torch's global generator. It fits itself to the size of the first images it sees.

    Raises:
        UsageProblem: A choice is unknown.
    """
    return AlexNet(channels, classes, norm, init, activation)
