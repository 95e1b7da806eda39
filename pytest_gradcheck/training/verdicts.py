"""How a run can fail with every number finite: it collapsed, or it cannot even memorise one batch."""

from __future__ import annotations

import math

import torch

from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training.rules import recent_mean


def collapsed(losses: list[float], classes: int | None, grads: list[torch.Tensor], limits: Limits) -> Failure | None:
    """Whether the net ended where guessing puts it, with most gradients exactly zero, or above it with all of them.

    The loss may lie a little above guessing, because the rate that broke the net keeps pushing its last biases around;
    nets that only learn slowly have that loss too, but only about half of their gradients are exactly zero. Far above,
    most will not do: sparse inputs leave most of a first layer's gradients at zero, and training may just have begun.
    Where no weight has a gradient, no step will move any, whatever the loss.

    Args:
        losses: Finite losses of every step.
        classes: Number of classes, or None where the loss is not a classification's.
        grads: Gradients of the last step, but for embeddings, whose unused rows have none by design.
        limits: Where the lines are.
    """
    if classes is None or classes < 2 or not grads:
        return None
    guessing = math.log(classes)
    recent = recent_mean(losses)
    if recent / guessing - 1 < -limits.below_guessing:
        return None
    above = recent / guessing - 1 > limits.above_guessing
    counted = [grad for grad in grads if grad.dim() > 1] if above else grads
    total = sum(grad.numel() for grad in counted)
    if not total:
        return None
    zeros = total - int(torch.stack([torch.count_nonzero(grad).cpu() for grad in counted]).sum())
    if zeros < total if above else zeros <= limits.zeros * total:
        return None
    share = "every gradient of a weight is" if above else f"{zeros / total:.0%} of all gradients are"
    said = (
        f"the last losses average {recent:.4f}; guessing among {classes} classes gives {guessing:.4f}",
        f"{share} exactly zero",
    )
    return Failure(len(losses) - 1, "backward", "gradient", "collapse", evidence=said)


def underfit(losses: list[float], limits: Limits) -> Failure | None:
    """Whether one batch, trained on again and again, kept more of its initial loss than the limit."""
    goal = limits.memorised * losses[0]
    if min(losses) <= goal:
        return None
    said = (
        f"the loss on one batch went from {losses[0]:.4g} to {losses[-1]:.4g} (least {min(losses):.4g}) "
        f"in {len(losses)} steps; memorised would be {goal:.4g}"
    )
    return Failure(len(losses) - 1, "optimizer", "loss", "underfit", evidence=(said,))
