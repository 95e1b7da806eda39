"""How large each step's update is, relative to the weights it moves: the sign of a learning rate too high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.training.sentinel import tensor_norms

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Update:
    """The largest relative update of one step.

    Attributes:
        step: The step.
        tensor: Name of the parameter.
        ratio: `rate * ||gradient|| / ||initial weight||`.
        rate: The learning rate.
    """

    step: int
    tensor: str
    ratio: float
    rate: float


class Updates:
    """Collects the largest update of every step from norms that the sentinel has read anyway.

    Only for plain SGD, whose update is the rate times the gradient. Weights of less than two dimensions are left out:
    biases start at or near zero. Momentum is not counted, so a ratio is a lower bound.
    """

    def __init__(self, named: Sequence[tuple[str, torch.Tensor]], optimizer: torch.optim.Optimizer) -> None:
        self.largest: list[Update] = []
        weights = [(name, item.detach()) for name, item in named if item.dim() > 1]
        plain = type(optimizer) is torch.optim.SGD and weights
        norms = torch.stack([norm.double() for norm in tensor_norms([item for _, item in weights])]) if plain else None
        self._initial: dict[str, float] = {}
        if norms is not None:
            self._initial = {name: norm for (name, _), norm in zip(weights, norms.tolist(), strict=True) if norm > 0}

    def add(self, step: int, norms: dict[str, float], rate: float, clip: float | None, total: float) -> None:
        """Note one step: its gradient norms, rate, and by how much clipping shrank them."""
        shrunk = min(1.0, clip / total) if clip is not None and total > 0 else 1.0
        ratios = ((rate * shrunk * norms[name] / norm, name) for name, norm in self._initial.items() if name in norms)
        ratio, name = max(ratios, default=(0.0, ""))
        if name:
            self.largest.append(Update(step, name, ratio, rate))
