"""Modules that get the shape of their parameters from their first input."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.training.objective import forward

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gradcheck.training.feed import Feed


def materialise(model: nn.Module, feed: Feed) -> None:
    """Run lazy modules once, as torch asks, so that copies and optimizers meet parameters that have a shape.

    Every module keeps its mode, and every tensor its device.
    """
    if any(isinstance(item, nn.parameter.UninitializedParameter) for item in model.parameters()):
        with torch.no_grad(), _as_placed(model):
            forward(model.to(feed.home).eval(), feed.peek(), 0)


@contextlib.contextmanager
def _as_placed(model: nn.Module) -> Iterator[None]:
    """Put modes and devices back afterwards, and with these the buffers that a move replaces."""
    modes = [(module, module.training) for module in model.modules()]
    homes = [(item, item.device, item.grad) for item in model.parameters()]
    slots = [(module, name, item) for module in model.modules() for name, item in module._buffers.items()]
    buffers = [(module, name, item, item.device) for module, name, item in slots if item is not None]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for item, device, grad in homes:
            if item.device != device:
                item.data = item.data.to(device)
                item.grad = grad
        for module, name, was, device in buffers:
            now = module._buffers.get(name)
            if now is not None and now.device != device:
                lazy = isinstance(was, nn.parameter.UninitializedBuffer)
                module._buffers[name] = now.to(device) if lazy else was
