"""The loss of one step, and what makes it unusable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.subjects.resolve import at

if TYPE_CHECKING:
    from pytest_gradcheck.training.feed import Batch

Loss = Callable[[Any, Any], torch.Tensor]
_IGNORED = -100  # cross entropy's own ignore_index


def forward(model: nn.Module, batch: Batch, step: int) -> Any:
    """The model's output; a tuple or list of inputs is passed as arguments, a dict as keyword arguments.

    Raises:
        UsageProblem: The forward raised; the message names the step and the input's shape.
    """
    __tracebackhide__ = True
    inputs = batch.inputs
    try:
        if isinstance(inputs, dict):
            return model(**inputs)
        return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)
    except UsageProblem:
        raise
    except Exception as error:
        owner = model.module if isinstance(model, DistributedDataParallel) else model
        raise UsageProblem(
            f"the forward of {type(owner).__name__} raised {type(error).__name__} at step {step} "
            f"on inputs {batch.shape()}: {error}{at(error)}"
        ) from error


def objective(loss: Loss | None, outputs: Any, targets: Any, step: int, differentiable: bool = True) -> torch.Tensor:
    """The loss of `outputs` as a tensor of one element with a gradient.

    Where `loss` is None it is cross entropy, or without targets what the model itself returns as its `loss`.

    Raises:
        UsageProblem: The targets do not fit, the loss raised, or what it returned cannot be minimised.
    """
    if loss is None and targets is None:
        value: Any = _own_loss(outputs, step)
    elif loss is None:
        value = _cross_entropy(outputs, targets, step)
    else:
        try:
            value = loss(outputs, targets)
        except UsageProblem:
            raise
        except Exception as error:
            raise UsageProblem(f"the loss raised {type(error).__name__} at step {step}: {error}{at(error)}") from error
    if not isinstance(value, torch.Tensor):
        raise UsageProblem(f"the loss is a {type(value).__name__} at step {step}, but it must be a tensor")
    if value.numel() != 1 or not value.is_floating_point():
        raise UsageProblem(
            f"the loss has shape {tuple(value.shape)} and dtype {value.dtype} at step {step}, but it must be one "
            "floating number: take its mean or its sum"
        )
    if differentiable and not value.requires_grad:
        raise UsageProblem(
            f"the loss has no gradient at step {step}: was it detached, or computed under no_grad, or from argmax?"
        )
    return value


def class_count(outputs: Any, targets: Any) -> int | None:
    """Number of classes where targets are whole-number labels, one for each row of scores, else None.

    Scores are (batch, classes, ...), or (batch, ..., classes) where that fits the labels instead.
    """
    if not isinstance(outputs, torch.Tensor) or not isinstance(targets, torch.Tensor) or outputs.dim() < 2:
        return None
    if targets.is_floating_point():
        return None
    if targets.shape == outputs.shape[:1] + outputs.shape[2:]:
        return int(outputs.shape[1])
    return int(outputs.shape[-1]) if targets.shape == outputs.shape[:-1] else None


def _own_loss(outputs: Any, step: int) -> Any:
    """The loss that the model computed itself, as those of Hugging Face do when they are given labels."""
    value = outputs.get("loss") if isinstance(outputs, Mapping) else getattr(outputs, "loss", None)
    if value is None:
        raise UsageProblem(
            f"the batch of step {step} has no targets, and the model returned a {type(outputs).__name__} without a "
            "loss: put the labels into the batch, or pass loss="
        )
    return value


def _cross_entropy(outputs: Any, targets: Any, step: int) -> torch.Tensor:
    if not isinstance(outputs, torch.Tensor) or not isinstance(targets, torch.Tensor):
        what = f"outputs are a {type(outputs).__name__} and targets a {type(targets).__name__}"
        raise UsageProblem(f"{what} at step {step}, but cross entropy needs tensors: pass loss=")
    if outputs.dim() < 1 or not outputs.is_floating_point():
        raise UsageProblem(
            f"the model returns {outputs.dtype} of shape {tuple(outputs.shape)}, which are no class scores"
        )
    if targets.shape != outputs.shape:  # equal shapes: class probabilities, of which cross entropy makes sense
        _check_labels(outputs, targets, step)
    try:
        return F.cross_entropy(outputs, targets)
    except (RuntimeError, ValueError) as error:
        raise UsageProblem(f"cross entropy raised at step {step}: {error}") from error


def _check_labels(outputs: torch.Tensor, targets: torch.Tensor, step: int) -> None:
    if targets.dtype != torch.int64:
        raise UsageProblem(
            f"the labels are {targets.dtype} at step {step}, but cross entropy needs int64: use targets.long(), "
            "or pass loss= for another objective"
        )
    if outputs.dim() < 2 or targets.shape != outputs.shape[:1] + outputs.shape[2:]:
        last = targets.shape == outputs.shape[:-1]
        raise UsageProblem(
            f"the labels have shape {tuple(targets.shape)} at step {step}, which does not fit scores of shape "
            f"{tuple(outputs.shape)}: one label a sample is needed"
            + (
                ", with the classes in axis 1: pass loss=lambda y, t: F.cross_entropy(y.movedim(-1, 1), t)"
                if last
                else ""
            )
        )
    # On an accelerator this read would wait for the device, so only the first batch pays for it there.
    if targets.numel() and (step == 0 or targets.device.type == "cpu"):
        classes, (low, high) = outputs.shape[1], _range(targets)
        if low < 0:
            labels = targets[targets != _IGNORED]
            low, high = _range(labels) if labels.numel() else (0, 0)
        if low < 0 or high >= classes:
            raise UsageProblem(
                f"the labels at step {step} run from {low} to {high}, but the model scores {classes} classes: "
                f"labels must be 0 to {classes - 1}"
            )


def _range(labels: torch.Tensor) -> tuple[int, int]:
    low, high = torch.aminmax(labels)
    return int(low), int(high)
