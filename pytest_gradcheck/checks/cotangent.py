"""Is the backward one linear map of its cotangent, whatever the layout in memory in which it arrives?"""

from __future__ import annotations

import torch

from pytest_gradcheck.checks.agree import attempt, disagreements
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding

#: Negative, far larger and far smaller: shows a clamp, a magnitude and a forgotten factor alike. Powers of two scale a
#: linear backward without rounding.
SCALES = (-4096.0, 2.0**-12)

Cotangents = list[torch.Tensor]


class CotangentLayouts:
    """Sends the same numbers in other layouts: strided as from `cat`, transposed, and expanded as from `.sum()`."""

    name = "cotangent"

    def run(self, context: Context) -> Outcome:
        """Compares each layout's gradient with that of the contiguous cotangent of the same values."""
        if not any(context.gradients.reached):
            return Outcome()
        drawn = context.cotangents
        layouts = [
            ("strided, as a slice of a concatenation is", [_strided(v) for v in drawn]),
            ("transposed, as .t() and .permute() send it", [_transposed(v) for v in drawn]),
        ]
        if context.finite:
            layouts += [
                ("expanded along the first axis, as .sum(0) sends it", [_row(v).expand(v.shape) for v in drawn]),
                ("expanded with stride 0, as .sum() sends it", [v.new_ones(()).expand(v.shape) for v in drawn]),
            ]
        outcome = Outcome()
        for said, laid_out in layouts:
            contiguous = [v.clone(memory_format=torch.contiguous_format) for v in laid_out]
            expected = context.subject.gradients(contiguous)
            outcome.findings += _compared(context, f"when the incoming gradient is {said}", expected.values, laid_out)
        return outcome if outcome.findings else _scaled(context)


def _scaled(context: Context) -> Outcome:
    """A backward that ignores, clamps or bends its cotangent is not linear in it."""
    for scale in SCALES:
        scaled = [scale * cotangent for cotangent in context.cotangents]
        expected = [scale * gradient for gradient in context.gradients.values]
        said = f"when the incoming gradient is {scale:g} times as large: the backward is not linear in it"
        findings = _compared(context, said, expected, scaled, scale)
        if findings:
            return Outcome(findings=findings)
    return Outcome()


def _compared(
    context: Context, said: str, expected: list[torch.Tensor], cotangents: Cotangents, times: float = 1.0
) -> list[Finding]:
    """Findings for every leaf whose gradient is not what the same numbers should give."""
    found, raised = attempt(
        "cotangent", f"the backward raises {said}", lambda: context.subject.gradients(cotangents).values
    )
    return raised if found is None else disagreements(context, "cotangent", said, expected, found, times=times)


def _strided(cotangent: torch.Tensor) -> torch.Tensor:
    if not cotangent.dim():
        return cotangent
    wide = cotangent.new_zeros((*cotangent.shape[:-1], 2 * cotangent.shape[-1]))
    wide[..., ::2] = cotangent
    return wide[..., ::2]


def _transposed(cotangent: torch.Tensor) -> torch.Tensor:
    return cotangent.transpose(0, -1).contiguous().transpose(0, -1) if cotangent.dim() > 1 else _strided(cotangent)


def _row(cotangent: torch.Tensor) -> torch.Tensor:
    return cotangent[:1].clone() if cotangent.dim() else cotangent
