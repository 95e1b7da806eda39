"""How a run can fail with every number finite: it collapsed, or it cannot even memorise one batch."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training.layers import ENOUGH
from pytest_gradcheck.training.numbers import values_of
from pytest_gradcheck.training.rules import recent_mean

if TYPE_CHECKING:
    from collections.abc import Collection


#: Share of the quarter before by which a loss that falls has fallen.
_FALLING = 0.95
#: Share of the first loss above which a loss has hardly fallen.
_HARDLY = 0.9


def collapsed(
    losses: list[float], classes: int | None, grads: list[torch.Tensor], limits: Limits, samples: int = ENOUGH
) -> Failure | None:
    """Whether the net ended where guessing puts it, with most gradients exactly zero, or above it with all of them.

    The loss may lie a little above guessing, because the rate that broke the net keeps pushing its last biases around;
    nets that only learn slowly have that loss too, but only about half of their gradients are exactly zero. Far above,
    most will not do: sparse inputs leave most of a first layer's gradients at zero, and training may just have begun.
    Nor will they of a few samples, for which many units are off by chance.
    Where no weight has a gradient, no step will move any, whatever the loss.

    Args:
        losses: Finite losses of every step.
        classes: Number of classes, or None where the loss is not a classification's.
        grads: Gradients of the last step, as `counted_gradients` gives them.
        limits: Where the lines are.
        samples: Number of labels that the gradients come from.
    """
    if classes is None or classes < 2 or not grads:
        return None
    guessing = math.log(classes)
    recent = recent_mean(losses)
    if recent / guessing - 1 < -limits.below_guessing:
        return None
    whole = recent / guessing - 1 > limits.above_guessing or samples < ENOUGH
    counted = [grad for grad in grads if grad.dim() > 1] if whole else grads
    total = sum(grad.numel() for grad in counted)
    if not total:
        return None
    zeros = total - int(torch.stack([torch.count_nonzero(grad).cpu() for grad in counted]).sum())
    if zeros < total if whole else zeros <= limits.zeros * total:
        return None
    share = "every gradient of a weight is" if whole else f"{zeros / total:.0%} of all gradients are"
    said = (
        f"the last losses average {recent:.4f}; guessing among {classes} classes gives {guessing:.4f}",
        f"{share} exactly zero",
    )
    return Failure(len(losses) - 1, "backward", "gradient", "collapse", evidence=said)


def counted_gradients(model: nn.Module, entries: Collection[str]) -> list[torch.Tensor]:
    """The gradients of a classifier in which a zero tells of a unit that is dead.

    Left out is what is zero by design: rows of an embedding, weights of an input feature that no sample has, and parts
    that were passed by, as an expert that no sample chose: what lies before them has gradients.

    Args:
        model: After a backward.
        entries: Names of the modules that get the data.
    """
    tables = {id(item.weight) for item in model.modules() if isinstance(item, (nn.Embedding, nn.EmbeddingBag))}
    first = {id(model.get_submodule(name)._parameters.get("weight")) for name in entries}
    held = [
        (id(item), values_of(item.grad))  # of a sparse gradient the rows that were looked up
        for item in model.parameters()
        if item.grad is not None and id(item) not in tables
    ]
    fed = [grad for key, grad in held if key in first]
    passed = bool(fed) and all(bool(grad.any()) for grad in fed)
    kept = [(key, grad) for key, grad in held if not passed or grad.dim() < 2 or bool(grad.any())]
    return [_present(grad) if key in first else grad for key, grad in kept]


def _present(grad: torch.Tensor) -> torch.Tensor:
    """A linear layer's gradient without the features that are zero in every sample."""
    if grad.dim() != 2:
        return grad
    columns = grad.any(0)
    return grad[:, columns] if bool(columns.any()) else grad


def underfit(losses: list[float], limits: Limits) -> Failure | None:
    """Whether one batch, trained on again and again, kept more of its initial loss than the limit."""
    goal = limits.memorised * losses[0]
    if min(losses) <= goal:
        return None
    said = (
        f"the loss on one batch went from {losses[0]:.4g} to {losses[-1]:.4g} (least {min(losses):.4g}) "
        f"in {len(losses)} steps; memorised would be {goal:.4g}"
    )
    return Failure(len(losses) - 1, "optimizer", "loss", "underfit", evidence=(said, _outlook(losses)))


def _outlook(losses: list[float]) -> str:
    """Whether more steps may help."""
    quarter = max(1, len(losses) // 4)
    before, last = fmean(losses[-2 * quarter : -quarter] or losses[:1]), fmean(losses[-quarter:])
    if last < _FALLING * before:
        return "it was still falling in the last quarter of the steps: more of them may do"
    if min(losses) > _HARDLY * losses[0]:
        return "it has hardly fallen: is the learning rate too small, or does no gradient arrive?"
    return (
        "it had stopped falling: a loss that cannot reach zero (label smoothing, a KL term, noise) needs "
        "limits=Limits(memorised=...)"
    )
