"""Which modules of a net are looked at, and what their outputs say."""

from __future__ import annotations

import torch
from torch import nn

from pytest_gradcheck.model.limits import Limits

_SQUASHING = (nn.Tanh, nn.Sigmoid)


def weight_of(module: nn.Module) -> nn.Parameter | None:
    """A module's own weight of at least two dimensions, or None."""
    weight = module._parameters.get("weight")
    return weight if weight is not None and weight.dim() > 1 else None


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
        facts["dead"] = float(((values > 0).double().mean(1) < limits.fires).double().mean())
    if issubclass(kind, nn.Tanh):
        facts["saturated"] = float((values.abs() > limits.tanh).double().mean())
    if issubclass(kind, nn.Sigmoid):
        facts["saturated"] = float(((values < limits.sigmoid) | (values > 1 - limits.sigmoid)).double().mean())
    return facts


def by_unit(output: torch.Tensor) -> torch.Tensor:
    """An output as (units, samples and places): the second dimension holds the units, where there is one."""
    return output.reshape(1, -1) if output.dim() < 2 else output.transpose(0, 1).flatten(1)
