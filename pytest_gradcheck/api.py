"""The gradient check as a plain function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_gradcheck.engine import Question, run
from pytest_gradcheck.model import Report


def check_gradients(
    subject: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    eps: float | None = None,
    bands: tuple[float, float] | None = None,
    mode: str | None = None,
    order: int | None = None,
    dtype: Any = None,
    device: Any = None,
    seed: int | None = None,
    strict: bool | None = None,
    budget: float | None = None,
    checks: Sequence[str] | None = None,
) -> Report:
    """Compares a subject's gradients from autograd with finite differences; a mismatch is reported, not raised.

    The subject, its parameters, buffers, gradients and mode, the inputs and the global random states are left as found,
    bit for bit, also after an error or an interrupt.

    Args:
        subject: An `autograd.Function` class or its `apply`, an `nn.Module` instance, or any callable.
        *inputs: Positional inputs: tensors of any shape, nested containers of them, anything else. Floating and complex
            tensors are cast to `dtype`; if any of them requires a gradient only those are checked, else every one.
        kwargs: Keyword inputs of the same kinds.
        wrt: Names of the tensors to check, such as `["input0", "weight"]`; overrides the choice by `requires_grad`.
        eps: Central step and first step of a sweep, in units of the input; default 1e-5.
        bands: Relative errors up to which a gradient is GOOD and SUSPICIOUS; default (1e-5, 1e-3).
        mode: "auto" (elements for small tensors, projections for large ones), "elementwise", "projection", or "central"
            (the plain quotient at exactly `eps`).
        order: 2 to check the derivative of the backward too, 1 not to; default: 2 for custom Functions that allow it.
        dtype: Floating dtype of the check, a `torch.dtype` or its name; default float64.
        device: Where to run; default: where the inputs are.
        seed: Seed of every random draw; default 0.
        strict: Whether anything but GOOD makes `report.passed` False; default False.
        budget: Seconds after which no new measurement starts; default none.
        checks: Names of the checks to run; default all.

    Returns:
        The report: `passed`, `verdict`, one entry per tensor, findings, and what repeats it.

    Raises:
        UsageProblem: The question cannot be answered: a bad option, a class instead of an instance, a forward that
            raises, nothing to check. The message says what to do.
    """
    options = {
        "eps": eps,
        "bands": bands,
        "mode": mode,
        "order": order,
        "dtype": dtype,
        "device": device,
        "seed": seed,
        "strict": strict,
        "budget": budget,
        "checks": checks,
    }
    return run(Question(subject, inputs, kwargs, wrt), options)
