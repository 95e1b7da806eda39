"""The optimizer of a run, from a name, a class, a callable of the parameters, or an optimizer itself."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem

Rate = float | Callable[[int], float]
DEFAULT_RATE = 0.01
# These need a closure or sparse gradients, which a plain step does not give.
_UNFIT = {"optimizer", "lbfgs", "sparseadam"}


def known_names() -> dict[str, type[torch.optim.Optimizer]]:
    """torch's optimizers by lower-case name."""
    classes = {name.lower(): item for name, item in vars(torch.optim).items() if inspect.isclass(item)}
    return {
        name: item for name, item in classes.items() if issubclass(item, torch.optim.Optimizer) and name not in _UNFIT
    }


def make_optimizer(optimizer: Any, model: nn.Module, lr: Rate | None) -> torch.optim.Optimizer:
    """The optimizer for the model's trainable parameters.

    Args:
        optimizer: A name of one of torch's optimizers, its class, a callable of a list of parameters, or an optimizer.
        model: Whose parameters it moves.
        lr: The rate, or a function of the step. None is 0.01 for names and classes, and what the others bring along.

    Raises:
        UsageProblem: The name is unknown, or the optimizer moves none of the model's parameters.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    made = _make(optimizer, parameters, lr)
    if isinstance(made, torch.optim.LBFGS):
        raise UsageProblem("LBFGS evaluates the loss many times a step, which a smoke run does not do: use another one")
    own = set(map(id, parameters))
    moved = [parameter for group in made.param_groups for parameter in group["params"]]
    if not any(id(parameter) in own for parameter in moved):
        hint = "" if optimizer is not made else ": with a model factory, pass a name or a callable of the parameters"
        raise UsageProblem(f"the optimizer {type(made).__name__} holds none of the model's parameters{hint}")
    return made


def set_rate(optimizer: torch.optim.Optimizer, lr: Rate | None, step: int) -> float:
    """Set every group's rate for this step where `lr` is given; returns the first group's rate.

    Raises:
        UsageProblem: The function of the step did not return a number of at least 0.
    """
    if lr is not None:
        rate = checked_rate(lr(step), f" at step {step}") if callable(lr) else lr
        for group in optimizer.param_groups:
            group["lr"] = rate
    return float(optimizer.param_groups[0]["lr"])


def checked_rate(rate: Any, where: str = "") -> float:
    """`rate`, which must be a finite number of at least 0.

    Raises:
        UsageProblem: It is not.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < float("inf"):
        raise UsageProblem(f"lr is {rate!r}{where}, but it must be a number of at least 0, or a function of the step")
    return rate


def _make(optimizer: Any, parameters: list[nn.Parameter], lr: Rate | None) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    rate = DEFAULT_RATE if lr is None or callable(lr) else lr
    if isinstance(optimizer, str):
        return _class_of(optimizer)(parameters, lr=rate)  # type: ignore[call-arg]
    if inspect.isclass(optimizer) and issubclass(optimizer, torch.optim.Optimizer):
        return optimizer(parameters, lr=rate)  # type: ignore[call-arg]
    made = optimizer(parameters) if callable(optimizer) else None
    if not isinstance(made, torch.optim.Optimizer):
        got = "" if made is None else f" that returned a {type(made).__name__}"
        raise UsageProblem(
            f"optimizer is a {type(optimizer).__name__}{got}, but it must be a name, an optimizer or a callable of "
            "the parameters that returns one"
        )
    return made


def _class_of(name: str) -> type[torch.optim.Optimizer]:
    names = known_names()
    if name.lower() in names:
        return names[name.lower()]
    near = difflib.get_close_matches(name.lower(), names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(names))}"
    raise UsageProblem(f"optimizer {name!r} is unknown: {hint}")
