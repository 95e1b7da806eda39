"""Does backward return what it should: right number, shape, dtype and device, before the engine mends them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects.observe import FunctionClass, Watch, functions, watched


class Contract:
    """Looks at every gradient that a custom Function returns, before the engine casts, reduces or drops it.

    Cost: one forward and one backward, on subjects with a custom Function; one more forward elsewhere to look for one.
    """

    name = "contract"

    def run(self, context: Context) -> Outcome:
        """Findings for what the engine tolerates and mends in silence; what it refuses has been reported already."""
        observed = functions(context.subject)
        if not observed or not any(context.gradients.reached):
            return Outcome()
        watch = _Returns()
        with watched(watch, *observed):
            context.subject.gradients(context.cotangents)
        return Outcome(findings=list(dict.fromkeys(watch.findings)))


class _Returns(Watch):
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def left(self, function: FunctionClass, ctx: Any, token: Any, inputs: Sequence[Any], output: Any) -> None:
        del function, token, output
        ctx._gradcheck_inputs = [_Meta(value) if isinstance(value, torch.Tensor) else None for value in inputs]

    def returned(self, function: FunctionClass, ctx: Any, token: Any, cotangents: Sequence[Any], found: Any) -> None:
        del token, cotangents
        inputs = getattr(ctx, "_gradcheck_inputs", None)
        if inputs is None:
            return
        returned = found if isinstance(found, tuple) else (found,)
        name = function.__name__
        if len(returned) > len(inputs):
            self._note(
                "info",
                f"the backward of {name} returns {len(returned)} gradients for {len(inputs)} inputs; the engine drops "
                f"the rest because they are None, and would raise on anything else",
            )
        for position, (gradient, meta) in enumerate(zip(returned, inputs, strict=False)):
            if isinstance(gradient, torch.Tensor) and meta is not None and ctx.needs_input_grad[position]:
                self._compare(name, f"input {position}", gradient, meta)

    def _compare(self, name: str, which: str, gradient: torch.Tensor, meta: _Meta) -> None:
        start = f"the backward of {name} returns for {which} "
        shape = tuple(gradient.shape)
        if shape != meta.shape:
            self._note(
                "warning",
                f"{start}a gradient of shape {list(shape)} where the input has {list(meta.shape)}: the engine sums it "
                f"to that shape in silence; if a sum is what you mean, write it (sum over the broadcast dimensions), "
                f"if not, the gradient is wrong",
            )
        if gradient.dtype != meta.dtype:
            self._dtype(start, gradient.dtype, meta.dtype)
        if gradient.device != meta.device:
            self._note(
                "warning",
                f"{start}a gradient on {gradient.device} where the input lies on {meta.device}: the engine copies it "
                f"across in silence, and only because it has no dimension",
            )

    def _dtype(self, start: str, found: torch.dtype, wanted: torch.dtype) -> None:
        said = f"{start}{_short(found)} where the input holds {_short(wanted)}"
        if not (found.is_floating_point or found.is_complex):
            self._note("warning", f"{said}: the engine casts it in silence; did a mask or an index come back instead?")
        elif wanted.is_complex and not found.is_complex:
            self._note("warning", f"{said}: the engine casts it in silence; did the imaginary part get lost?")
        elif torch.finfo(found).eps > torch.finfo(wanted).eps:
            self._note("warning", f"{said}: the engine casts it in silence; precision was lost before that")
        else:
            self._note("info", f"{said}: the engine casts it in silence")

    def _note(self, severity: str, message: str) -> None:
        self.findings.append(Finding("contract", severity, message))


class _Meta:
    """Shape, dtype and device of an input: all that is kept of it."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.shape = tuple(tensor.shape)
        self.dtype = tensor.dtype
        self.device = tensor.device


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
