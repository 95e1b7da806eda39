"""Does anything change that must not: inputs, saved tensors, parameters, the incoming gradient?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

from pytest_gradcheck.checks.agree import pull
from pytest_gradcheck.checks.base import Context, Outcome
from pytest_gradcheck.model import Finding
from pytest_gradcheck.numerics.directions import generator, signed
from pytest_gradcheck.subjects.fingerprint import Fingerprint, fingerprint, fingerprints
from pytest_gradcheck.subjects.graph import nodes
from pytest_gradcheck.subjects.observe import FunctionClass, Watch, functions, watched

SILENT = "whatever else was computed from that tensor gets a wrong gradient, in silence"


class Mutation:
    """Hashes the bits of everything that must stay, before and after forward and backward.

    Hashes, not version counters: a write through `.data`, numpy or a kernel leaves the counter as it was. Cost: one
    forward and one backward, on subjects with a custom Function.
    """

    name = "mutation"

    def run(self, context: Context) -> Outcome:
        """Findings for each thing that was written into."""
        # A Function may say so itself, by ctx.mark_dirty.
        written = context.subject.written if context.subject.function is None else ()
        findings = [Finding("mutation", "info", _in_place(context, name)) for name in written]
        observed = functions(context.subject)
        if not observed or not any(context.gradients.reached):
            return Outcome(findings=findings)
        watch = _Contents()
        owned = [leaf for leaf in context.subject.leaves if leaf.kind == "parameter"]
        before = fingerprints(leaf.tensor for leaf in owned)
        # Drawn anew: a backward that zeroes its incoming gradient may have done so to the others already.
        source = generator(context.settings.seed, "mutation")
        cotangents = [signed(output, source) for output in context.baseline]
        try:
            with watched(watch, *observed):
                context.subject.gradients(cotangents)
        finally:
            after = fingerprints(leaf.tensor for leaf in owned)
            for leaf, then, now in zip(owned, before, after, strict=True):
                if then != now:
                    leaf.tensor.detach().copy_(leaf.origin)
                    watch.note("warning", f"{leaf.name} is written into during forward or backward")
        return Outcome(findings=[*findings, *dict.fromkeys(watch.findings)])


def of_raising(context: Context) -> list[Finding]:
    """What the custom Functions of a subject whose backward raises were seen to write into before it did.

    Each gets a dense copy of its incoming gradient: torch refuses to write into an expanded one.
    """
    observed = functions(context.subject)
    watch = _Contents()
    with watched(watch, *observed), suppress(Exception):
        outputs = context.subject.evaluate()
        for node in nodes(outputs):
            if getattr(node, "_forward_cls", None) in observed:
                node.register_prehook(_dense)
        pull([leaf.tensor for leaf in context.subject.leaves], outputs, context.cotangents)
    watch.raised()
    return list(dict.fromkeys(watch.findings))


def _dense(gradients: Sequence[torch.Tensor | None]) -> tuple[torch.Tensor | None, ...]:
    return tuple(None if value is None else value.contiguous().clone() for value in gradients)


def _in_place(context: Context, name: str) -> str:
    return (
        f"{context.subject.name} writes into {name}; the check gives each call a copy of its own, a caller who still "
        f"needs the old values must do the same"
    )


class _Contents(Watch):
    """Compares the hashes around each call of a Function."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._running: dict[int, tuple[FunctionClass, Any, Any, Sequence[Any]]] = {}

    def entered(self, function: FunctionClass, inputs: Sequence[Any]) -> list[tuple[Fingerprint, int] | None]:
        del function
        return [(fingerprint(value), value._version) if isinstance(value, torch.Tensor) else None for value in inputs]

    def left(self, function: FunctionClass, ctx: Any, token: Any, inputs: Sequence[Any], output: Any) -> None:
        del output
        dirty = [id(tensor) for tensor in getattr(ctx, "dirty_tensors", None) or ()]
        for position, (value, before) in enumerate(zip(inputs, token, strict=False)):
            if before is None or id(value) in dirty or fingerprint(value) == before[0]:
                continue
            start = f"the forward of {function.__name__} writes into its input {position} without ctx.mark_dirty"
            if value._version == before[1]:
                self.note("error", f"{start}, past autograd's version counter: {SILENT}")
            else:
                self.note("warning", f"{start}: autograd differentiates as if the input were still what it was")
        kept = [value for value in inputs if isinstance(value, torch.Tensor)]
        ctx._gradcheck_contents = kept, fingerprints(kept)

    def called(self, function: FunctionClass, ctx: Any, cotangents: Sequence[Any]) -> Any:
        saved = _saved(ctx)
        token = fingerprints(cotangents), saved, fingerprints(saved)
        self._running[id(ctx)] = function, ctx, token, cotangents
        return token

    def returned(self, function: FunctionClass, ctx: Any, token: Any, cotangents: Sequence[Any], found: Any) -> None:
        del found
        self._running.pop(id(ctx), None)
        received, saved, contents = token
        start = f"the backward of {function.__name__} writes into"
        for position, (value, before) in enumerate(zip(cotangents, received, strict=True)):
            if before is not None and fingerprint(value) != before:
                self.note(
                    "error",
                    f"{start} its incoming gradient {position}: autograd may hand the same tensor to other backward "
                    f"passes, which then compute with the wrong numbers; clone it first",
                )
        inputs, written = getattr(ctx, "_gradcheck_contents", ([], []))
        for value, before in zip(inputs, written, strict=True):
            if fingerprint(value) != before:
                self.note("error", f"{start} an input of its forward: {SILENT}")
        known = {_address(value) for value in inputs}
        for value, before in zip(saved, contents, strict=True):
            if _address(value) not in known and fingerprint(value) != before:
                self.note(
                    "warning",
                    f"{start} a tensor that its forward kept: a second backward (retain_graph=True) finds other "
                    f"numbers",
                )

    def raised(self) -> None:
        """Compares for each backward that was called and never returned."""
        for function, ctx, token, cotangents in list(self._running.values()):
            self.returned(function, ctx, token, cotangents, None)

    def note(self, severity: str, message: str) -> None:
        """Adds a finding."""
        self.findings.append(Finding("mutation", severity, message))


def _saved(ctx: Any) -> list[torch.Tensor]:
    """What save_for_backward kept, and tensors that are plain attributes of ctx."""
    try:
        saved = list(ctx.saved_tensors)
    except Exception:  # noqa: BLE001  modified in place or freed already: backward itself will say so
        saved = []
    return [value for value in (*saved, *vars(ctx).values()) if isinstance(value, torch.Tensor)]


def _address(tensor: torch.Tensor) -> int:
    """Where the content lies: a saved tensor comes back as another object over the same memory."""
    return tensor.data_ptr() if tensor.layout is torch.strided and not tensor.is_nested else id(tensor)
