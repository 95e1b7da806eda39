"""Devices by name, and whether this machine has them."""

from __future__ import annotations

import torch

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.launch import own_device


def find(name: str) -> torch.device:
    """The device called `name`: "cpu", "cuda", "cuda:1", "mps", "xpu", or "auto" for the first accelerator there is.

    Raises:
        UsageProblem: This machine lacks the device.
    """
    if name == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps", "xpu") if available(kind)), "cpu"))
    if not available(name):
        raise UsageProblem(f"device {name!r} is not available on this machine")
    return torch.device(own_device(name, _count(name)))


def _count(kind: str) -> int:
    """How many devices of a kind this machine has; 1 where they have no number."""
    module = getattr(torch, kind, None)
    return int(module.device_count()) if kind in ("cuda", "xpu") and module is not None else 1


def available(name: str) -> bool:
    """Whether this machine has the device, index included."""
    kind, _, index = name.partition(":")
    if kind == "cpu":
        return index in ("", "0")
    if kind == "mps":
        return torch.backends.mps.is_available() and index in ("", "0")
    module = getattr(torch, kind, None)
    return module is not None and module.is_available() and (not index or int(index) < module.device_count())
