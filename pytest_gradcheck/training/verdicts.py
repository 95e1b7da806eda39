"""How a run can fail with every number finite: it collapsed, or it cannot even memorise one batch."""

from __future__ import annotations

import math
from statistics import fmean

import torch

from pytest_gradcheck.model.training import Failure

#: A collapsed net's loss is where guessing puts it, ln(classes), or a little above: the same rate that broke it keeps
#: pushing its last biases around (2.31 to 2.38 for ten classes). Nets that only learn slowly have that loss too, but
#: half of their gradients, not more than 70 %, are exactly zero.
BELOW_GUESSING, ABOVE_GUESSING, ZERO_SHARE = 0.01, 0.05, 0.7
#: The share of its initial loss below which one batch counts as memorised.
MEMORISED = 0.05
_WINDOW = 10


def collapsed(losses: list[float], classes: int | None, grads: list[torch.Tensor]) -> Failure | None:
    """Whether the net ended where guessing puts it, with most gradients exactly zero.

    Args:
        losses: Finite losses of every step.
        classes: Number of classes, or None where the loss is not a classification's.
        grads: Gradients of the last step, but for embeddings, whose unused rows have none by design.
    """
    if classes is None or classes < 2 or not grads:
        return None
    guessing = math.log(classes)
    recent = fmean(losses[-max(1, min(_WINDOW, len(losses) // 2)) :])
    if not -BELOW_GUESSING <= recent / guessing - 1 <= ABOVE_GUESSING:
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
