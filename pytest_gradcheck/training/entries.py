"""What the data are when they reach the first layers: a net may normalise or embed its inputs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.training.blame import input_facts
from pytest_gradcheck.training.layers import is_compiled, is_seen

if TYPE_CHECKING:
    from types import TracebackType

    from pytest_gradcheck.training.feed import Batch

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class Entries:
    """Sees what layers with weights are given straight from the data, while it is entered.

    Args:
        model: The model. Modules that were compiled are not looked at: hooks would make them compile again.

    Attributes:
        names: The layers that get the data.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [] if any(map(is_compiled, model.modules())) else list(model.named_modules())
        self._layers = [(name, each) for name, each in layers if _weighs(each) or isinstance(each, _NORMS)]
        self.names: set[str] = set()
        self._begun = False
        self._largest: float | None = None

    def __enter__(self) -> Entries:
        self._handles = [
            layer.register_forward_pre_hook(lambda layer, given, name=name: self._look(name, layer, given))
            for name, layer in self._layers
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def facts(self, batch: Batch) -> tuple[float, str]:
        """The largest magnitude of a batch's inputs, or of what the net made of it for its first layers; its range."""
        largest, span = input_facts(batch)
        return (largest if self._largest is None else min(largest, self._largest)), span

    def tame(self, batch: Batch, limit: float) -> bool:
        """Whether the net itself brought a batch that exceeds a limit under it, and so will do with others."""
        return self._largest is not None and self._largest <= limit < input_facts(batch)[0]

    def _look(self, name: str, layer: nn.Module, given: tuple[Any, ...]) -> None:
        data = [item.detach() for item in given if is_seen(item) and not item.requires_grad]
        # where no gradient is kept, as in a checkpoint's first forward, only the first layer is sure to get the data
        sure, self._begun = torch.is_grad_enabled() or not self._begun, True
        if data and sure:
            self.names.add(name)
            taken = [] if isinstance(layer, _NORMS) else data  # whatever the scale, a norm takes it away
            largest = max((float(torch.nan_to_num(item, 0.0, 0.0, 0.0).abs().max()) for item in taken), default=0.0)
            self._largest = max(largest, self._largest or 0.0)


def _weighs(module: nn.Module) -> bool:
    """Whether a module without children multiplies what it gets with a weight of its own."""
    own = any(item is not None and item.dim() > 1 for item in module._parameters.values())
    return own and not module._modules and not isinstance(module, (nn.Embedding, nn.EmbeddingBag))
