"""One change each to a failing run: which of them are finite, and which learn. No advice by heart, only trials."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from pytest_gradcheck.models.choices import fill
from pytest_gradcheck.training.optimizers import DEFAULT_RATE, make_optimizer
from pytest_gradcheck.training.plan import Plan
from pytest_gradcheck.training.state import seeded

_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = {nn.Linear: nn.BatchNorm1d, nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
_NORMED = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
DECAY = 1e-3

Change = Callable[[Plan, float], Plan | None]


class Scaled:
    """Batches whose floating inputs are divided by one number."""

    def __init__(self, batches: Any, divisor: float) -> None:
        self._batches, self._divisor = batches, divisor

    def __iter__(self) -> Iterator[Any]:
        for item in self._batches:
            if isinstance(item, Mapping):
                yield tree_map(self._scale, dict(item))
            else:
                inputs, targets = item
                yield tree_map(self._scale, inputs), targets

    def _scale(self, leaf: Any) -> Any:
        floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
        return leaf / self._divisor if floating else leaf


def _scale_input(plan: Plan, largest: float) -> Plan | None:
    divisor = 255.0 if largest <= 255 else largest
    return replace(plan, batches=Scaled(plan.batches, divisor)) if largest > plan.limits.input else None


def _lower_rate(plan: Plan, _: float) -> Plan | None:
    given = plan.lr
    if given is None and isinstance(plan.optimizer, torch.optim.Optimizer):
        given = float(plan.optimizer.param_groups[0]["lr"])
    if callable(given):
        schedule = given
        return replace(plan, lr=lambda step: schedule(step) / 10)
    if given is None and not isinstance(plan.optimizer, (str, type)):
        return None  # a callable's own rate is not known before it has run
    return replace(plan, lr=(DEFAULT_RATE if given is None else given) / 10)


def _clip(plan: Plan, _: float) -> Plan | None:
    return replace(plan, clip=1.0) if plan.clip is None or plan.clip > 1 else None


def _initialise(init: str) -> Change:
    def change(plan: Plan, _: float) -> Plan | None:
        return _rebuilt(plan, lambda model: fill(model, init), _has(_WEIGHTED))

    return change


def _normalise(kinds: tuple[type[nn.Module], ...]) -> Change:
    """BatchNorm after every layer of these kinds, but not after the last layer, whose outputs are the scores."""

    def change(plan: Plan, _: float) -> Plan | None:
        return _rebuilt(plan, lambda model: _add_norms(model, kinds), _lacks_norms(kinds))

    return change


def _relu(plan: Plan, _: float) -> Plan | None:
    def swap(model: nn.Module) -> None:
        for module in model.modules():
            for name, child in module.named_children():
                if isinstance(child, (nn.Sigmoid, nn.Tanh)):
                    setattr(module, name, nn.ReLU())

    return _rebuilt(plan, swap, _has((nn.Sigmoid, nn.Tanh)))


def _residual(plan: Plan, _: float) -> Plan | None:
    def link(model: nn.Module) -> None:
        for layer in model.modules():
            if isinstance(layer, _WEIGHTED):
                layer.register_forward_hook(_shortcut)

    def many(model: nn.Module) -> bool:
        return sum(isinstance(layer, _WEIGHTED) and _square(layer) for layer in model.modules()) > 2

    return _rebuilt(plan, link, many)


def _weight_decay(plan: Plan, _: float) -> Plan | None:
    def decayed(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        holder = nn.ParameterList(parameters)
        made = make_optimizer(_fresh(plan.optimizer), holder, plan.lr)
        for group in made.param_groups:
            group["weight_decay"] = DECAY
        return made

    return replace(plan, optimizer=decayed)


#: In the order in which they are tried. Another seed is tried beside them.
REMEDIES: tuple[tuple[str, Change], ...] = (
    ("scale the input to 0..1", _scale_input),
    ("BatchNorm after convolutions", _normalise((nn.Conv1d, nn.Conv2d, nn.Conv3d))),
    ("learning rate / 10", _lower_rate),
    ("clip gradients at 1", _clip),
    ("Xavier initialisation", _initialise("xavier")),
    ("He initialisation", _initialise("he")),
    ("BatchNorm after convolutions and linear layers", _normalise(_WEIGHTED)),
    ("ReLU for sigmoid and tanh", _relu),
    ("residual links", _residual),
    (f"weight decay {DECAY:g}", _weight_decay),
)


def with_fresh_optimizer(plan: Plan) -> Plan:
    """The plan with an optimizer that can be made anew: one that was passed becomes its class with its settings."""
    return replace(plan, optimizer=_fresh(plan.optimizer))


def _fresh(optimizer: Any) -> Any:
    if not isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    kind: Any = type(optimizer)
    return lambda parameters: kind(parameters, **optimizer.defaults)


def _rebuilt(plan: Plan, change: Callable[[nn.Module], Any], applies: Callable[[nn.Module], bool]) -> Plan | None:
    """The plan with a factory of changed models; None where the change does not apply."""
    given = plan.model
    with seeded(0):
        if not applies(given if isinstance(given, nn.Module) else given()):
            return None

    def factory() -> nn.Module:
        model = copy.deepcopy(given) if isinstance(given, nn.Module) else given()
        change(model)
        return model

    return replace(plan, model=factory)


def _has(kinds: tuple[type[nn.Module], ...]) -> Callable[[nn.Module], bool]:
    return lambda model: any(isinstance(layer, kinds) for layer in model.modules())


def _lacks_norms(kinds: tuple[type[nn.Module], ...]) -> Callable[[nn.Module], bool]:
    def applies(model: nn.Module) -> bool:
        hidden = [layer for layer in model.modules() if isinstance(layer, _WEIGHTED)][:-1]
        # "also after linear layers" where there are none would repeat the remedy before it
        needed = (nn.Linear,) if nn.Linear in kinds else kinds
        return not _has(_NORMED)(model) and any(isinstance(layer, needed) for layer in hidden)

    return applies


def _add_norms(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> None:
    layers = [layer for layer in model.modules() if isinstance(layer, _WEIGHTED)]
    for layer in layers[:-1]:
        if isinstance(layer, kinds):
            width = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
            norm = next(made for kind, made in _NORMS.items() if isinstance(layer, kind))(width)
            layer.add_module("added_norm", norm.to(layer.weight.device))  # a child: so its parameters are trained
            layer.register_forward_hook(_normed)


def _normed(layer: nn.Module, _: Any, output: torch.Tensor) -> Any:
    # BatchNorm1d takes the second dimension for the features, which a linear layer has last
    fits = not isinstance(layer, nn.Linear) or output.dim() == 2
    return layer.get_submodule("added_norm")(output) if fits else output


def _shortcut(_: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    same = isinstance(inputs[0], torch.Tensor) and inputs[0].shape == output.shape
    return output + inputs[0] if same else output


def _square(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Linear):
        return layer.in_features == layer.out_features
    return isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and layer.in_channels == layer.out_channels
