"""The choices that the reference nets share, by name: activation, normalisation and initialisation."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}
INITS = ("default", "xavier", "he", "normal:STD")


def pick(kind: str, name: object, known: Iterable[str]) -> str:
    """`name`, which must be one of `known`.

    Raises:
        UsageProblem: It is not; the message lists what is known and the nearest name.
    """
    names = list(known)
    if name in names:
        return str(name)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageProblem(f"{kind} is {name!r}, but it must be one of {', '.join(map(repr, names))}{hint}")


def initializer(init: str) -> Callable[[torch.Tensor], object] | None:
    """What fills the weights of linear and convolutional layers; None keeps PyTorch's own default.

    "xavier" is Glorot and Bengio's uniform rule (AISTATS 2010), "he" the normal rule of He et al. for ReLU (ICCV 2015),
    "normal:0.01" a normal distribution with that standard deviation.

    Raises:
        UsageProblem: `init` names none of these, or its deviation is not a positive number.
    """
    if init == "default":
        return None
    if init == "xavier":
        return nn.init.xavier_uniform_
    if init == "he":
        return lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu")
    kind, _, deviation = str(init).partition(":")
    if kind != "normal":
        pick("init", init, INITS)
    try:
        std = float(deviation)
    except ValueError:
        std = math.nan
    if not 0 < std < math.inf:
        raise UsageProblem(f'init is {init!r}, but "normal:" needs a positive standard deviation, as in "normal:0.01"')
    return lambda weight: nn.init.normal_(weight, std=std)


@torch.no_grad()
def fill(module: nn.Module, init: str) -> None:
    """Apply `initializer(init)` to the weights of every linear and convolutional layer; biases stay as they are.

    Raises:
        UsageProblem: As `initializer`.
    """
    rule = initializer(init)
    for layer in module.modules():
        if rule is not None and isinstance(layer, (nn.Linear, nn.Conv2d)):
            rule(layer.weight)


def normalisation(norm: str | None, channels: int) -> list[nn.Module]:
    """`[BatchNorm2d(channels)]` for "batch", nothing for None.

    Raises:
        UsageProblem: `norm` is something else.
    """
    if norm is None:
        return []
    pick("norm", norm, ["batch"])
    return [nn.BatchNorm2d(channels)]
