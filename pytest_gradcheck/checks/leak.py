"""Is the graph freed when its output is dropped without a backward? A context that holds its output never is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from pytest_gradcheck.checks.base import Context, Outcome, names
from pytest_gradcheck.model import Finding
from pytest_gradcheck.subjects import tree
from pytest_gradcheck.subjects.observe import FunctionClass, Watch, watched


class Leak:
    """Drops the outputs of one forward and looks, by weak references, whether they and the inputs are gone.

    Cost: one forward, on custom Functions.
    """

    name = "leak"

    def run(self, context: Context) -> Outcome:
        """A warning for what stays alive, with the attribute of ctx that holds it."""
        function = context.subject.function
        if function is None or not any(context.gradients.reached):
            return Outcome()
        watch = _References()
        with _no_collector():
            with watched(watch, function):
                outputs = context.subject.evaluate()
            kept = [(f"output {k}", weakref.ref(output)) for k, output in enumerate(outputs)]
            holders = sorted({name for output in outputs for name in _holders(output, outputs)})
            del outputs
            alive = [name for name, reference in (*kept, *watch.inputs) if reference() is not None]
        if not alive:
            return Outcome()
        gc.collect()
        forever = [name for name, reference in (*kept, *watch.inputs) if reference() is not None]
        return Outcome(findings=[Finding("leak", "warning", _said(function.__name__, alive, holders, forever))])


def _said(function: str, alive: list[str], holders: list[str], forever: list[str]) -> str:
    what = f"{names(alive)} of {function} {'stays' if len(alive) == 1 else 'stay'} in memory after all references to it"
    if holders:
        held = names([f"ctx.{holder}" for holder in holders])
        return (
            f"{what} are gone, with the whole graph, until the garbage collector happens to run: {held} holds an "
            f"output, and the output's graph holds ctx; use ctx.save_for_backward instead"
        )
    if forever:
        return f"{what} are gone: a global, a class attribute or a closure holds it"
    return f"{what} are gone, until the garbage collector happens to run: something it is part of refers to itself"


def _holders(output: torch.Tensor, outputs: Sequence[torch.Tensor]) -> Iterator[str]:
    """Attributes of the output's ctx that hold an output itself (not a detached copy of it)."""
    ids = {id(other) for other in outputs}
    for name, value in getattr(output.grad_fn, "__dict__", {}).items():
        if any(id(tensor) in ids for _, tensor in tree.tensors(value)):
            yield name


class _References(Watch):
    """Weak references to the inputs of the forward."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, weakref.ref[torch.Tensor]]] = []

    def entered(self, function: FunctionClass, inputs: Sequence[Any]) -> None:
        del function
        self.inputs += [
            (f"input {position}", weakref.ref(value))
            for position, value in enumerate(inputs)
            # A leaf outlives the call by right; what the subject made for this call alone must not.
            if isinstance(value, torch.Tensor) and not (value.is_leaf and value.requires_grad)
        ]


@contextmanager
def _no_collector() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
