"""Does the Function keep its precision in float32 and bfloat16, where it is trained?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from pytest_gradcheck.checks.agree import pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.directions import generator, signed
from pytest_gradcheck.subjects.application import Application, applied
from pytest_gradcheck.subjects.standin import body

#: By dtype: an error must exceed what rounding the inputs alone makes, and the dtype's own rounding, this many times.
BEYOND = {torch.float32: 100.0, torch.bfloat16: 16.0}

#: How much worse than autograd's own gradient of the forward's operations, in the same dtype, is still nothing to say.
NATIVE = 10.0
#: A gradient that is this small beside what was sent in is what cancellation left of it: it has no scale.
CANCELLED = 1e-3
#: Finite outputs this far off are those of another function: of other random numbers from the forward's own generator.
OTHER = 0.1

Results = dict[str, torch.Tensor]


class Precision:
    """Compares outputs and gradients in float32 and bfloat16 with the float64 ones at exactly the same inputs.

    The inputs are rounded first, so both see the same numbers. What the dtype explains is measured: the float64
    results at inputs moved by one rounding; and where autograd can differentiate the forward's own operations, how
    exact that gradient is in the dtype. Functions that draw random numbers are left out: they draw others in another
    dtype. Cost: ten forwards and eight backwards, on custom Functions.
    """

    name = "precision"

    def run(self, context: Context) -> Outcome:
        """A warning for each dtype in which a result is far less exact than the dtype."""
        wide = context.baseline[0].dtype in (torch.float64, torch.complex128)
        if not wide or context.spread or not context.finite or not any(context.gradients.reached):
            return Outcome()
        if any(leaf.tensor.is_complex() for leaf in context.subject.leaves):
            return Outcome()
        application = applied(context.subject, context.baseline)
        if application is None or not application.positions() or application.random:
            return Outcome()
        outcome = Outcome()
        for dtype in BEYOND:
            if not context.deadline.passed:
                outcome.findings += _narrow(context, application, dtype)
        return outcome


def _narrow(context: Context, application: Application, dtype: torch.dtype) -> list[Finding]:
    found = _results(context, application, dtype, dtype)
    exact = _results(context, application, dtype, torch.float64)
    moved = _results(context, application, dtype, torch.float64, move=torch.finfo(dtype).eps)
    if found is None or exact is None or moved is None:
        return []  # it does not run in this dtype, or not at these inputs
    # Outputs are what the forward's operations make of them; a gradient can be better or worse than theirs.
    native = _results(context, application, dtype, dtype, native=True) or {}
    for name, narrow in found.items():
        if narrow.shape != exact[name].shape or (name.startswith("output") and _another(narrow, exact[name])):
            return []
        reference = native.get(name) if name.startswith("the gradient") else None
        message = _message(context, name, narrow, exact[name], moved[name], reference, dtype)
        if message:
            return [Finding("low-precision", "warning", message)]  # the first that is off spoils those after it
    return []


def _another(narrow: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether the outputs are finite, and not those of the same function."""
    return OTHER * float(right.norm()) < float((narrow - right).norm()) < math.inf


def _message(
    context: Context,
    name: str,
    narrow: torch.Tensor,
    right: torch.Tensor,
    beside: torch.Tensor,
    native: torch.Tensor | None,
    dtype: torch.dtype,
) -> str | None:
    short = str(dtype).removeprefix("torch.")
    if not bool(right.isfinite().all()) or not bool(beside.isfinite().all()):
        return None
    largest = float(right.abs().max()) if right.numel() else 0.0
    eps, limits = torch.finfo(dtype).eps, torch.finfo(dtype)
    if not limits.tiny / eps < largest < 0.1 * limits.max:
        return None  # the result itself hardly fits
    broken = int((~narrow.isfinite()).sum())
    if broken:
        if native is not None and not bool(native.isfinite().all()):
            return None
        return f"in {short} {broken} of {narrow.numel()} elements of {name} are nan or infinite; in float64 none is"
    difference = float((narrow.to(right.dtype) - right).norm())
    size, sent = float(right.norm()), math.hypot(*(float(v.norm()) for v in context.cotangents))
    if name.startswith("the gradient") and size <= CANCELLED * sent:
        return None
    explained = float((beside - right).norm()) + eps * size * math.sqrt(math.log2(right.numel() + 2))
    own = float((native.to(right.dtype) - right).norm()) if native is not None else 0.0
    if difference <= max(BEYOND[dtype] * explained, NATIVE * own):
        return None
    return (
        f"in {short} {name} is off by {difference / size:.1e} relative to the float64 value at the same inputs, "
        f"{difference / explained:.0f} times what rounding explains: is a step computed in lower precision?"
    )


def _results(
    context: Context,
    application: Application,
    rounded: torch.dtype,
    dtype: torch.dtype,
    move: float = 0.0,
    native: bool = False,
) -> Results | None:
    """Outputs and gradients at the inputs as `rounded` holds them, computed in `dtype`; None where that raises.

    Args:
        context: What the check was given.
        application: The Function.
        rounded: The dtype whose numbers the inputs are.
        dtype: The dtype of the computation.
        move: How far to move the inputs, relative to their values.
        native: Whether to differentiate the forward's own operations rather than to call backward.
    """
    found_dtype = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        inputs, leaves = application.requiring(rounded)
        with torch.no_grad():
            for k, position in enumerate(application.positions()):
                wide = leaves[k].detach().to(dtype)
                if move:
                    wide = wide * (1 + move * signed(wide, generator(context.settings.seed, "precision", k)))
                inputs[position] = leaves[k] = wide.requires_grad_(True)
            others = [p for p, value in enumerate(inputs) if isinstance(value, torch.Tensor)]
            for position in others:
                if position not in application.positions() and inputs[position].is_floating_point():
                    inputs[position] = inputs[position].to(dtype)
        outputs = body(application, inputs) if native else application(inputs)
        if outputs is None:
            return None
        gradients = pull(leaves, outputs, _like(context.cotangents, outputs, rounded))
    except Exception:  # noqa: BLE001  many kernels have no float64 or no bfloat16
        return None
    finally:
        torch.set_default_dtype(found_dtype)
    names = [leaf.name for leaf in application.positions().values()]
    results = {f"output {k}": output.detach() for k, output in enumerate(outputs)}
    return results | {f"the gradient of {name}": g for name, g in zip(names, gradients, strict=True)}


def _like(
    cotangents: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], rounded: torch.dtype
) -> list[torch.Tensor | None]:
    return [
        (v.to(rounded) if v.is_floating_point() else v).to(output.dtype)
        for v, output in zip(cotangents, outputs, strict=True)
    ]
