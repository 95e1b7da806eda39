"""How the size of activations changes with depth."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_LAYERS = 1000


@contextlib.contextmanager
def layer_sizes(model: nn.Module) -> Iterator[list[float]]:
    """Collect the root mean square of what each layer with weights puts out, in running order.

    Layers whose output is zero or not finite are left out.
    """
    sizes: list[float] = []

    def look(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point() and len(sizes) < _MAX_LAYERS:
            size = float(output.detach().double().square().mean().sqrt())
            if 0 < size < math.inf:
                sizes.append(size)

    weighted = [item for item in model.modules() if any(p.dim() > 1 for p in item.parameters(recurse=False))]
    handles = [module.register_forward_hook(look) for module in weighted]
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()
