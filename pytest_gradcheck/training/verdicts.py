"""How a run can fail with every number finite: it collapsed, or it cannot even memorise one batch."""

from __future__ import annotations

import math
from statistics import fmean

import torch

from pytest_gradcheck.model.training import Failure

#: Loss within this share of ln(classes), and more than this share of gradients exactly zero: validated on healthy and
#: sick AlexNets, where nets that only learn slowly have the loss but not the zeros.
NEAR_GUESSING, ZERO_SHARE = 0.01, 0.7
#: The share of its initial loss below which one batch counts as memorised.
MEMORISED = 0.05
_WINDOW = 5


def collapsed(losses: list[float], classes: int | None, grads: list[torch.Tensor]) -> Failure | None:
    """Whether the net ended where guessing puts it, with most gradients exactly zero.

    Args:
        losses: Finite losses of every step.
        classes: Number of classes, or None where the loss is not a classification's.
        grads: Gradients of the last step.
    """
    if classes is None or classes < 2 or not grads:
        return None
    guessing = math.log(classes)
    recent = fmean(losses[-_WINDOW:])
    if abs(recent - guessing) > NEAR_GUESSING * guessing:
        return None
    total = sum(grad.numel() for grad in grads)
    zeros = total - int(torch.stack([torch.count_nonzero(grad).cpu() for grad in grads]).sum())
    if zeros <= ZERO_SHARE * total:
        return None
    said = (
        f"the last losses average {recent:.4f}; guessing among {classes} classes gives {guessing:.4f}",
        f"{zeros / total:.0%} of all gradients are exactly zero",
    )
    return Failure(len(losses) - 1, "backward", "gradient", "collapse", evidence=said)


def underfit(losses: list[float]) -> Failure | None:
    """Whether one batch, trained on again and again, kept more than 5 % of its initial loss."""
    if min(losses) <= MEMORISED * losses[0]:
        return None
    said = (
        f"the loss on one batch went from {losses[0]:.4g} to {losses[-1]:.4g} (least {min(losses):.4g}) "
        f"in {len(losses)} steps; memorised would be {MEMORISED * losses[0]:.4g}"
    )
    return Failure(len(losses) - 1, "optimizer", "loss", "underfit", evidence=(said,))
