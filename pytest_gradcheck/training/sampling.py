"""A close look at one step: activations by layer and magnitudes of gradients, from a sample that is cheap.

What is looked at is gathered on the device into one tensor, which is read with everything else; the numbers are made of
it on the host.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.model.health import LayerFlow
from pytest_gradcheck.model.run_health import HealthSample, Histogram
from pytest_gradcheck.training.layers import Units, facts_of, interesting, is_compiled, is_seen, near_zero, weight_of
from pytest_gradcheck.training.rules import slopes
from pytest_gradcheck.training.sentinel import tensor_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gradcheck.model.limits import Limits
    from pytest_gradcheck.training.sentinel import Named, Reading

#: Elements of a gradient, samples and places of a layer, and numbers of a layer that are looked at.
ELEMENTS, PLACES, NUMBERS = 512, 256, 1 << 16


@dataclass(frozen=True)
class _Seen:
    """One layer's part of the gathered numbers: `units` times `places` of them."""

    name: str
    module: nn.Module
    units: int
    places: int


class Gathered:
    """The numbers of one close look, on the device, and how they are read.

    Attributes:
        values: Floating tensor of one dimension.
    """

    def __init__(
        self,
        seen: list[tuple[_Seen, torch.Tensor]],
        grads: list[tuple[str, torch.Tensor]],
        names: Mapping[int, str],
        limits: Limits,
    ) -> None:
        self._layers, self._names, self._limits = [layer for layer, _ in seen], names, limits
        self._grads = [(name, taken.numel()) for name, taken in grads]
        self._weighted = [layer for layer in self._layers if weight_of(layer.module) is not None]
        weights = [weight for layer in self._weighted if (weight := weight_of(layer.module)) is not None]
        norms = [norm.reshape(1) for norm in tensor_norms([weight.detach() for weight in weights])]
        parts = [*(taken.flatten() for _, taken in seen), *(taken for _, taken in grads), *norms]
        self.values = torch.cat([part.float() for part in parts]) if parts else torch.zeros(0)

    def sample(self, reading: Reading) -> HealthSample:
        """What the numbers say, once they are on the host as the reading's extra."""
        assert reading.extra is not None
        outputs = [layer.units * layer.places for layer in self._layers]
        sizes = [*outputs, *(count for _, count in self._grads), *(1 for _ in self._weighted)]
        parts = list(torch.split(reading.extra, sizes))
        split = len(outputs)
        weights = dict(zip((layer.name for layer in self._weighted), parts[split + len(self._grads) :], strict=True))
        layers = tuple(
            self._layer(layer, part.view(layer.places, layer.units).T, weights.get(layer.name), reading)
            for layer, part in zip(self._layers, parts[:split], strict=True)
        )
        taken = zip((name for name, _ in self._grads), parts[split:], strict=False)
        histograms = tuple(_histogram(name, part) for name, part in taken)
        return HealthSample(reading.step, layers, histograms, *slopes(layers))

    def small(self, sample: HealthSample) -> frozenset[str]:
        """Names of the layers whose weights are near zero."""
        weights = {layer.name: weight_of(layer.module) for layer in self._weighted}
        pairs = ((layer, weights.get(layer.module)) for layer in sample.layers)
        return frozenset(
            layer.module
            for layer, weight in pairs
            if weight is not None and layer.weight is not None and near_zero(weight.shape, layer.weight)
        )

    def _layer(self, layer: _Seen, values: torch.Tensor, weight: torch.Tensor | None, reading: Reading) -> LayerFlow:
        trained = self._names.get(id(weight_of(layer.module)))  # by identity: tied weights have one name
        return LayerFlow(
            layer.name,
            type(layer.module).__name__,
            gradient=None if trained is None else reading.norms.get(trained),
            weight=None if trained is None or weight is None else float(weight),
            **facts_of(type(layer.module), values, self._limits),
        )


class Sampler:
    """Looks closely at one step: `open` before its forward, `close` after its backward.

    Modules that were compiled or scripted are seen by their gradients only: hooks would make them compile again.

    Args:
        model: The model.
        named: Its parameters that are trained, by name.
        limits: What counts as dead and as saturated.

    Attributes:
        seconds: Time that the hooks of the last look took.
    """

    def __init__(self, model: nn.Module, named: Sequence[tuple[str, torch.Tensor]], limits: Limits) -> None:
        compiled = any(is_compiled(module) for module in model.modules())
        self._modules = [] if compiled else interesting(model)
        self._names, self._limits, self.seconds = {id(item): name for name, item in named}, limits, 0.0
        self._generator = torch.Generator().manual_seed(0)  # its own: the run's random numbers stay the bare loop's
        self._places: dict[Any, Any] = {}
        self._handles: list[Any] = []
        self._seen: dict[str, tuple[_Seen, torch.Tensor]] = {}
        self._units = Units()

    def open(self) -> None:
        """Watch the next forward."""
        self._seen, self.seconds, self._units = {}, 0.0, Units()
        for name, module in self._modules:
            self._handles.append(module.register_forward_hook(self._hook(name)))

    def close(self, grads: Named) -> Gathered:
        """Stop watching; what was seen, and a sample of each gradient."""
        self.abandon()
        taken = [(name, self._elements(grad)) for name, grad in grads if grad.layout is torch.strided]
        gathered = Gathered(list(self._seen.values()), taken, self._names, self._limits)
        self._seen = {}
        return gathered

    def abandon(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        @torch.no_grad()
        def look(module: nn.Module, _: Any, output: Any) -> None:
            if name in self._seen or not is_seen(output):
                return
            start = time.perf_counter()
            output = output.detach() if output.dim() else output.detach().reshape(1)
            taken = output[self._where(output, self._units.axis(module, output))]
            taken = taken.reshape(taken.shape[0], -1)
            self._seen[name] = _Seen(name, module, taken.shape[1], taken.shape[0]), taken
            self.seconds += time.perf_counter() - start

        return look

    def _where(self, output: torch.Tensor, axis: int) -> tuple[Any, ...]:
        """An index of some samples and places of all units, which `axis` holds."""
        key = output.shape, output.device, axis
        if key not in self._places:
            flat = output.dim() < 2  # one unit, as `by_unit` has it
            units = 1 if flat else output.shape[axis]
            others = [size for each, size in enumerate(output.shape) if flat or each != axis]
            total = math.prod(others)
            count = min(total, PLACES, max(16, NUMBERS // max(1, units)))
            drawn = torch.randperm(total, generator=self._generator)[:count] if total < 1 << 24 else self._draw(total)
            places = [index.to(output.device) for index in torch.unravel_index(drawn, others)]
            self._places[key] = tuple(places) if flat else (*places[:axis], slice(None), *places[axis:])
        found: tuple[Any, ...] = self._places[key]
        return found

    def _elements(self, grad: torch.Tensor) -> torch.Tensor:
        key = grad.numel(), grad.device
        if key not in self._places:
            self._places[key] = (
                torch.arange(grad.numel()) if grad.numel() <= ELEMENTS else self._draw(grad.numel())[:ELEMENTS]
            ).to(grad.device)
        return torch.take(grad.detach(), self._places[key]).abs()

    def _draw(self, total: int) -> torch.Tensor:
        return torch.randint(total, (max(ELEMENTS, PLACES),), generator=self._generator)


def _histogram(name: str, magnitudes: torch.Tensor) -> Histogram:
    finite = magnitudes[torch.isfinite(magnitudes)].double()
    zeros = float((finite == 0).double().mean()) if finite.numel() else 0.0
    bins = torch.floor(finite[finite > 0].log10() / Histogram.WIDTH)
    if not bins.numel():
        return Histogram(name, zeros, 0.0, ())
    low = int(bins.min())
    counts = torch.bincount((bins - low).long())
    return Histogram(name, zeros, low * Histogram.WIDTH, tuple(counts.tolist()))
