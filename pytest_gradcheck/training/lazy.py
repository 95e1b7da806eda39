"""Modules that get the shape of their parameters from their first input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.training.objective import forward

if TYPE_CHECKING:
    from pytest_gradcheck.training.feed import Feed


def materialise(model: nn.Module, feed: Feed) -> None:
    """Run lazy modules once, as torch asks, so that copies and optimizers meet parameters that have a shape."""
    if any(isinstance(item, nn.parameter.UninitializedParameter) for item in model.parameters()):
        mode = model.training
        with torch.no_grad():
            forward(model.to(feed.home).eval(), feed.peek(), 0)
        model.train(mode)
