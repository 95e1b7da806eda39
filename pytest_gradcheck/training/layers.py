"""Which modules of a net are looked at, and what their outputs say."""

from __future__ import annotations

import math
from typing import TypeGuard

import torch
from torch import nn

from pytest_gradcheck.model.limits import Limits

_SQUASHING = (nn.Tanh, nn.Sigmoid)
#: From so many samples and places on, a unit that never fires counts as dead: with fewer, half of them are by chance.
ENOUGH = 16
#: A weight whose numbers are this small beside 1 / sqrt(inputs of a unit) was made to start near zero.
_NEAR_ZERO = 0.05


def weight_of(module: nn.Module) -> nn.Parameter | None:
    """A module's own weight of at least two dimensions, or None."""
    weight = module._parameters.get("weight")
    return weight if weight is not None and weight.dim() > 1 else None


def near_zero(shape: torch.Size, norm: float) -> bool:
    """Whether a weight of this shape and norm starts near zero, as the last layer of a policy or an adapter does.

    Such a layer passes hardly any gradient on until it has grown, and its own first updates are large beside it.
    """
    inputs = math.prod(shape[1:])
    return norm < _NEAR_ZERO * math.sqrt(math.prod(shape) / max(1, inputs))


def interesting(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Every layer with weights, and every ReLU, tanh and sigmoid module, by qualified name."""
    kinds = (nn.ReLU, *_SQUASHING)
    return [
        (name, module)
        for name, module in model.named_modules()
        if weight_of(module) is not None or isinstance(module, kinds)
    ]


def facts_of(kind: type[nn.Module], units: torch.Tensor, limits: Limits) -> dict[str, float]:
    """What an output shows: its size, and for an activation function the share of dead units or saturated values.

    Args:
        kind: Class of the module.
        units: Floating tensor (units, samples and places).
        limits: What counts as dead and as saturated.
    """
    values = units.double()
    facts = {"activation": float(values.square().mean().sqrt())}
    if issubclass(kind, nn.ReLU):
        fires = (values > 0).double().mean(1)
        if values.shape[1] >= ENOUGH or not fires.any():
            facts["dead"] = float((fires < limits.fires).double().mean())
    if issubclass(kind, nn.Tanh):
        facts["saturated"] = float((values.abs() > limits.tanh).double().mean())
    if issubclass(kind, nn.Sigmoid):
        facts["saturated"] = float(((values < limits.sigmoid) | (values > 1 - limits.sigmoid)).double().mean())
    return facts


def is_compiled(module: nn.Module) -> bool:
    """Whether hooks on this module would make it compile again, or are not seen at all."""
    compiled = hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
    return compiled or isinstance(module, torch.jit.ScriptModule)


def is_seen(output: object) -> TypeGuard[torch.Tensor]:
    """Whether a module's output is one that can be looked at: an expert that got no sample puts out none."""
    if not isinstance(output, torch.Tensor) or output.layout is not torch.strided:
        return False
    return output.is_floating_point() and output.numel() > 0


class Units:
    """Which dimension of an output holds the units: the last one behind a linear layer, else the second one.

    Modules are given in running order, because an activation function has the units of the layer before it.
    """

    def __init__(self) -> None:
        self._linear = 0

    def axis(self, module: nn.Module, output: torch.Tensor) -> int:
        """The dimension; 0 for an output without any."""
        weight = weight_of(module)
        if weight is not None:
            self._linear = weight.shape[0] if isinstance(module, nn.Linear) else 0
        last = self._linear > 0 and output.dim() > 1 and output.shape[-1] == self._linear
        return output.dim() - 1 if last else min(1, max(0, output.dim() - 1))


def by_unit(output: torch.Tensor, axis: int) -> torch.Tensor:
    """An output as (units, samples and places)."""
    return output.reshape(1, -1) if output.dim() < 2 else output.movedim(axis, 0).flatten(1)
