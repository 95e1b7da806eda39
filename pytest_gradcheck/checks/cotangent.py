"""Is the backward one linear map of its cotangent, whatever the layout in memory in which it arrives?"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.comparison import ROUNDING, relative_error

#: Two backward passes of the same numbers may differ by the rounding of another order of summation.
TOLERANCE = {torch.float64: ROUNDING, torch.float32: 1e-4}
#: Negative and of another size: shows a clamp, a magnitude and a forgotten factor alike.
SCALE = -3.5


class CotangentLayouts:
    """Sends the same numbers in other layouts: strided as from `cat`, transposed, and expanded as from `.sum()`."""

    name = "cotangent"

    def run(self, context: Context) -> Outcome:
        """Compares each layout's gradient with that of the contiguous cotangent of the same values."""
        outcome = Outcome()
        if not any(context.gradients.reached):
            return outcome
        ones = [(v != 0).to(v.dtype) for v in context.cotangents]
        layouts: list[tuple[str, Callable[[torch.Tensor], torch.Tensor], list[torch.Tensor]]] = [
            ("strided (every second element, as a slice of a concatenation has it)", _strided, context.cotangents),
            ("transposed (as the gradient of a .t() or .permute() arrives)", _transposed, context.cotangents),
            ("expanded (stride 0, as .sum() sends it)", _expanded, ones),
        ]
        for said, lay_out, cotangents in layouts:
            contiguous = context.gradients if cotangents is context.cotangents else context.subject.gradients(cotangents)
            laid_out = context.subject.gradients([lay_out(cotangent) for cotangent in cotangents])
            for leaf, expected, found in zip(context.subject.leaves, contiguous.values, laid_out.values, strict=True):
                error = relative_error(expected.flatten(), found.flatten())
                if error > TOLERANCE.get(expected.dtype, 1e-2):
                    outcome.findings.append(_finding(leaf.name, said, error, expected, found))
        return outcome if outcome.findings else _scaled(context)


def _scaled(context: Context) -> Outcome:
    """A backward that ignores, clamps or bends its cotangent is not linear in it."""
    outcome = Outcome()
    scaled = context.subject.gradients([SCALE * cotangent for cotangent in context.cotangents])
    for leaf, once, found in zip(context.subject.leaves, context.gradients.values, scaled.values, strict=True):
        error = relative_error((SCALE * once).flatten(), found.flatten())
        if error > TOLERANCE.get(once.dtype, 1e-2):
            message = (
                f"the gradient of {leaf.name} is not linear in the incoming gradient: {SCALE:g} times the incoming gradient "
                f"does not give {SCALE:g} times the gradient (off by {error:.1e}); does backward ignore, clamp or take the "
                f"magnitude of grad_output?"
            )
            outcome.findings.append(Finding("cotangent", "error", message))
    return outcome


def _finding(name: str, layout: str, error: float, expected: torch.Tensor, found: torch.Tensor) -> Finding:
    worst = int((expected - found).abs().argmax())
    values = f"{float(found.flatten()[worst].real):.6g} instead of {float(expected.flatten()[worst].real):.6g}"
    return Finding(
        "cotangent",
        "error",
        f"the gradient of {name} is wrong when the incoming gradient is {layout}: off by {error:.1e} from the same values "
        f"contiguous ({values}); make grad_output contiguous in backward, or honour its strides",
    )


def _strided(cotangent: torch.Tensor) -> torch.Tensor:
    if not cotangent.dim():
        return cotangent
    wide = cotangent.new_zeros((*cotangent.shape[:-1], 2 * cotangent.shape[-1]))
    wide[..., ::2] = cotangent
    return wide[..., ::2]


def _transposed(cotangent: torch.Tensor) -> torch.Tensor:
    return cotangent.transpose(0, -1).contiguous().transpose(0, -1) if cotangent.dim() > 1 else _strided(cotangent)


def _expanded(ones: torch.Tensor) -> torch.Tensor:
    return ones.new_ones(()).expand(ones.shape) if bool(ones.all()) else ones
