"""Every wrong question gets one clear sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.training import train_smoke

if TYPE_CHECKING:
    from collections.abc import Iterator

X, Y = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
PAIR = [(X, Y)]


def linear() -> nn.Module:
    return nn.Linear(6, 3)


def frozen() -> nn.Module:
    return nn.Linear(6, 3).requires_grad_(False)


class Raises(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        raise ValueError("cannot go on")


class RaisesBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        raise ValueError("no way back")


def no_way_back(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = RaisesBackward.apply(outputs).sum()  # type: ignore[no-untyped-call]
    return total


def spent() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    yield from [(X, Y)] * 3


CASES: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "empty loader": (linear, [], {}, "batches is empty: the list gives no batch"),
    "no iterable": (linear, 5, {}, "batches is a int, but it must be an iterable of (inputs, targets)"),
    "a function": (
        linear, linear, {},
        "batches is a function, but it must be an iterable of (inputs, targets), such as a DataLoader or a list of "
        "pairs; call it",
    ),
    "a class": (linear, list, {}, "batches is a type, but it must be an iterable of (inputs, targets)"),
    "a tensor": (linear, X, {}, "batches is a Tensor, but it must be an iterable"),
    "spent generator": (linear, spent(), {}, "batches ended after 3 of them, and a generator cannot start again"),
    "empty generator": (linear, iter(()), {}, "batches ended after 0 of them"),
    "no pair": (linear, [X], {}, "batch 0 is a Tensor, but it must be a pair (inputs, targets)"),
    "a triple": (linear, [(X, Y, Y)], {}, "batch 0 is a tuple of 3, but it must be a pair"),
    "label too high": (linear, [(X, Y + 1)], {}, "the labels at step 0 run from 1 to 3, but the model"),
    "label below zero": (linear, [(X, Y - 1)], {}, "the labels at step 0 run from -1 to 1"),
    "float labels": (linear, [(X, Y.float())], {}, "the labels are torch.float32 at step 0, but cross"),
    "label shape": (linear, [(X, Y[:, None])], {}, "the labels have shape (4, 1) at step 0, which does not fit scores"),
    "classes last": (
        linear, [(torch.randn(4, 5, 6), torch.zeros(4, 5, dtype=torch.int64))], {},
        "the labels have shape (4, 5) at step 0, which does not fit scores of shape (4, 5, 3): one label a sample is "
        "needed, with the classes in axis 1: pass loss=lambda y, t: F.cross_entropy(y.movedim(-1, 1), t)",
    ),
    "no scores": (lambda: nn.LSTM(6, 3), PAIR, {}, "outputs are a tuple and targets a Tensor at step 0"),
    "loss not scalar": (linear, PAIR, {"loss": lambda o, _: o}, "the loss has shape (4, 3) and dtype torch.float32"),
    "loss no tensor": (linear, PAIR, {"loss": lambda o, _: o.sum().item()}, "the loss is a float at step 0"),
    "loss detached": (linear, PAIR, {"loss": lambda o, _: o.sum().detach()}, "the loss has no gradient at step 0"),
    "loss raises": (linear, PAIR, {"loss": lambda o, _: o.nope}, "the loss raised AttributeError at step 0: "),
    "loss no callable": (linear, PAIR, {"loss": "mse"}, "loss is a str, but it must be a callable"),
    "no parameters": (nn.ReLU(), PAIR, {}, "the model ReLU has no trainable parameters"),
    "all frozen": (frozen, PAIR, {}, "the model Linear has no trainable parameters: all 2 parameters are frozen"),
    "no model": ("alexnet", PAIR, {}, "model is a str, but it must be an nn.Module or a factory of one"),
    "factory of nothing": (lambda: None, PAIR, {}, "the model factory returned a NoneType, not an nn.Module"),
    "meta model": (lambda: nn.Linear(6, 3, device="meta"), PAIR, {}, "the model Linear is on the meta device"),
    "wrong device": (linear, [(X.to("meta"), Y)], {}, "the inputs of batch 0 are on meta, but the model is on cpu"),
    "labels elsewhere": (linear, [(X, Y.to("meta"))], {}, "the targets of batch 0 are on meta, but"),
    "unknown device": (linear, PAIR, {"device": "gpu"}, "device 'gpu' cannot be used here: "),
    "meta device": (linear, PAIR, {"device": "meta"}, "device 'meta' cannot be used here"),
    "unknown optimizer": (linear, PAIR, {"optimizer": "addam"}, "optimizer 'addam' is unknown: did you mean 'adam'?"),
    "far-off optimizer": (linear, PAIR, {"optimizer": "zzz"}, "optimizer 'zzz' is unknown: known are adadelta, "),
    "not an optimizer": (linear, PAIR, {"optimizer": 3}, "optimizer is a int, but it must be a name"),
    "callable of nothing": (linear, PAIR, {"optimizer": lambda p: 3}, "optimizer is a function that returned a int"),
    "lbfgs": (linear, PAIR, {"optimizer": torch.optim.LBFGS}, "LBFGS evaluates the loss many times a step"),
    "foreign optimizer": (
        linear, PAIR, {"optimizer": torch.optim.SGD(linear().parameters())},
        "the optimizer SGD holds none of the model's parameters: with a model factory, pass a name",
    ),
    "no steps": (linear, PAIR, {"steps": 0}, "steps is 0, but it must be a whole number of at least 1"),
    "half a step": (linear, PAIR, {"steps": 1.5}, "steps is 1.5, but"),
    "negative rate": (linear, PAIR, {"lr": -1}, "lr is -1, but it must be a number of at least 0"),
    "bad rate later": (linear, PAIR, {"lr": lambda s: "x"}, "lr is 'x' at step 0, but it must be a number"),
    "bad clip": (linear, PAIR, {"clip": 0}, "clip is 0, but it must be a positive gradient norm"),
    "bad amp": (linear, PAIR, {"amp": "float64"}, "amp is 'float64', but it must be None, \"float16\" or \"bfloat16\""),
    "bad seed": (linear, PAIR, {"seed": -1}, "seed is -1, but it must be a whole number"),
    "forward raises": (
        lambda: Raises(6, 3), PAIR, {},
        "the forward of Raises raised ValueError at step 0 on inputs (4, 6) float32 on cpu: cannot go on "
        "(tests/training/test_bad_input.py:",
    ),
    "wrong shape": (lambda: nn.Linear(5, 3), PAIR, {}, "the forward of Linear raised RuntimeError at step 0"),
    "backward raises": (
        linear, PAIR, {"loss": no_way_back},
        "the backward raised ValueError at step 0: no way back",
    ),
}  # fmt: skip


@pytest.mark.parametrize("model,batches,options,message", CASES.values(), ids=CASES)
def test_bad_input_is_one_clear_error(model: Any, batches: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        train_smoke(model, batches, **options)
    assert str(caught.value).startswith(message)


def test_class_probabilities_are_fit_for_cross_entropy() -> None:
    assert train_smoke(linear, [(X, torch.full((4, 3), 1 / 3))]).passed


def test_ignored_labels_are_no_range_error() -> None:
    assert train_smoke(linear, [(X, torch.tensor([0, -100, 2, -100]))]).passed


@pytest.mark.parametrize(("size", "hint"), [(3, True), (4, True), (13, False), (14, False)])
def test_how_two_inputs_are_passed_is_told_of_tuples_that_may_hold_them(size: int, hint: bool) -> None:
    with pytest.raises(UsageProblem, match=f"batch 0 is a tuple of {size}, but it must be a pair") as problem:
        train_smoke(linear, [(X,) * size])
    assert ("for a model of two inputs" in str(problem.value)) is hint
