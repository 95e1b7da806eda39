"""How the size of activations changes with depth."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.model.health import slope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_LAYERS = 1000


@contextlib.contextmanager
def layer_sizes(model: nn.Module) -> Iterator[list[tuple[nn.Module, float]]]:
    """Collect the root mean square of what each layer with weights puts out, with the layer, in running order.

    Layers whose output is zero or not finite are left out.
    """
    sizes: list[tuple[nn.Module, float]] = []

    def look(layer: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point() and len(sizes) < _MAX_LAYERS:
            size = float(output.detach().double().square().mean().sqrt())
            if 0 < size < math.inf:
                sizes.append((layer, size))

    weighted = [item for item in model.modules() if any(p.dim() > 1 for p in item.parameters(recurse=False))]
    handles = [module.register_forward_hook(look) for module in weighted]
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()


def growth(sizes: Sequence[tuple[nn.Module, float]]) -> float | None:
    """Decades by which activations grow from layer to layer, or from call to call of one that is called repeatedly.

    None where there are too few.
    """
    by_layer: dict[nn.Module, list[float]] = {}
    for layer, size in sizes:
        by_layer.setdefault(layer, []).append(size)
    slopes = [slope([size for _, size in sizes]), *map(slope, by_layer.values())]
    return max((each for each in slopes if each is not None), default=None)
