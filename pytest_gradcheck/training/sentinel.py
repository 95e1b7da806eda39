"""Whether a loss and all gradients are finite, in one read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Reading:
    """What the sentinel saw in one step, before the optimizer moved anything.

    Attributes:
        loss: The loss.
        norms: Euclidean norm of each gradient, by parameter name.
        bad: Names of the gradients that hold a nan or an infinity, with which of the two.
    """

    loss: float
    norms: dict[str, float]
    bad: dict[str, str]

    @property
    def total(self) -> float:
        """Euclidean norm over all gradients; 0 where there are none."""
        return math.hypot(*self.norms.values())

    @property
    def healthy(self) -> bool:
        """Whether the loss and every gradient are finite."""
        return math.isfinite(self.loss) and not self.bad


def read(loss: torch.Tensor, named: list[tuple[str, torch.Tensor]]) -> Reading:
    """Read a loss and the norms of named gradients from the device at once.

    The norm of a gradient is taken in the gradient's own precision, where squares may overflow although every element
    is finite (float32: above 1.8e19). So a norm that is not finite only raises suspicion; the elements decide.
    """
    grads = [_dense(grad) for _, grad in named]
    values = torch.stack([loss.detach().reshape(()), *(norm.to(loss.device) for norm in tensor_norms(grads))]).tolist()
    norms = dict(zip((name for name, _ in named), values[1:], strict=True))
    bad: dict[str, str] = {}
    for (name, _), grad in zip(named, grads, strict=True):
        if not math.isfinite(norms[name]):
            kind = non_finite(grad)
            norms[name] = float(torch.linalg.vector_norm(grad, dtype=_wide(grad)))
            if kind:
                bad[name] = kind
    return Reading(values[0], norms, bad)


def tensor_norms(tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Euclidean norms as tensors without dimensions, of all tensors in few kernels."""
    if not tensors:
        return ()
    # The fused form has no public name; torch.nn.utils.get_total_norm wraps it and keeps only the total.
    return tuple(torch._foreach_norm(tensors))


def non_finite(tensor: torch.Tensor) -> str | None:
    """ "nan" or "inf" where the tensor holds one (nan first), else None."""
    if bool(torch.isfinite(tensor).all()):
        return None
    return "nan" if bool(torch.isnan(tensor).any()) else "inf"


def _dense(grad: torch.Tensor) -> torch.Tensor:
    return grad.coalesce().values() if grad.layout is torch.sparse_coo else grad


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64
