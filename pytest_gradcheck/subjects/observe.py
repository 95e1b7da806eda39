"""Looking over a custom Function's shoulder: what it is given and what it returns, before the engine touches it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from pytest_gradcheck.subjects.graph import nodes
from pytest_gradcheck.subjects.subject import Subject

FunctionClass = type[torch.autograd.Function]


class Watch:
    """What to do at the four moments of a custom Function's life; each does nothing unless a subclass says so.

    Its methods must not keep tensors alive longer than the block of `watched`, and must not change any.
    """

    def entered(self, function: FunctionClass, inputs: Sequence[Any]) -> Any:
        """Before the forward; what it returns is handed to `left`."""

    def left(self, function: FunctionClass, ctx: Any, token: Any, inputs: Sequence[Any], output: Any) -> None:
        """After the forward (and `setup_context`)."""

    def called(self, function: FunctionClass, ctx: Any, cotangents: Sequence[Any]) -> Any:
        """Before the backward; what it returns is handed to `returned`."""

    def returned(self, function: FunctionClass, ctx: Any, token: Any, cotangents: Sequence[Any], found: Any) -> None:
        """After the backward: `found` is what it returned, before the engine casts, expands or reduces it."""


def functions(subject: Subject) -> list[FunctionClass]:
    """The custom Functions that take part in the subject, torch's own left out; at most one forward call a subject.

    They are found in the graph of one evaluation, so Functions that a Function calls inside are not among them.
    """
    if subject.function is not None:
        return [subject.function]
    # Kept on the subject: several checks ask, and each would pay a forward call for the same answer.
    known: list[FunctionClass] | None = vars(subject).get("_custom_functions")
    if known is None:
        known = list(dict.fromkeys(_in_graph(subject.evaluate())))
        vars(subject)["_custom_functions"] = known
    return known


def _in_graph(outputs: Sequence[torch.Tensor]) -> Iterator[FunctionClass]:
    for node in nodes(outputs):
        function = getattr(node, "_forward_cls", None)
        if function is not None and function.__module__.partition(".")[0] != "torch":
            yield function


@contextmanager
def watched(watch: Watch, *observed: FunctionClass) -> Iterator[None]:
    """Calls `watch` whenever one of the Functions runs; the classes are as they were afterwards, also on an error."""
    found: list[tuple[FunctionClass, str, Any]] = []
    try:
        for function in observed:
            for name, wrapper in _wrappers(watch, function).items():
                found.append((function, name, vars(function).get(name)))
                setattr(function, name, staticmethod(wrapper))
        yield
    finally:
        for function, name, original in reversed(found):
            if original is None:
                delattr(function, name)
            else:
                setattr(function, name, original)


def has_setup_context(function: FunctionClass) -> bool:
    """Whether forward takes no ctx, which `setup_context` gets instead."""
    return function.setup_context is not torch.autograd.Function.setup_context


def backward_name(function: FunctionClass) -> str:
    """The staticmethod that is the Function's backward: "backward", or its alias "vjp"."""
    return "vjp" if function.vjp is not torch.autograd.Function.vjp else "backward"


class _Forward:
    """Stands where a forward stood: `apply` binds defaults by its signature, and keywords by the names in its code."""

    def __init__(self, forward: Callable[..., Any], call: Callable[..., Any]) -> None:
        functools.update_wrapper(self, forward)
        if hasattr(forward, "__code__"):
            self.__code__ = forward.__code__
        self._call = call

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return self._call(*inputs, **named)


def _wrappers(watch: Watch, function: FunctionClass) -> dict[str, Any]:
    forward: Any = function.forward
    wrappers: dict[str, Any] = {}
    if has_setup_context(function):
        setup: Any = function.setup_context
        tokens: list[Any] = []

        def bare(*inputs: Any, **named: Any) -> Any:
            tokens.append(watch.entered(function, inputs))
            return forward(*inputs, **named)

        @functools.wraps(setup)
        def keep(ctx: Any, inputs: Any, output: Any) -> Any:
            kept = setup(ctx, inputs, output)
            watch.left(function, ctx, tokens.pop(), inputs, output)
            return kept

        wrappers |= {"forward": _Forward(forward, bare), "setup_context": keep}
    else:

        def whole(ctx: Any, *inputs: Any, **named: Any) -> Any:
            token = watch.entered(function, inputs)
            output = forward(ctx, *inputs, **named)
            watch.left(function, ctx, token, inputs, output)
            return output

        wrappers["forward"] = _Forward(forward, whole)
    name = backward_name(function)
    backward: Any = getattr(function, name)
    boxed = getattr(function, "boxed_grads_call", False)

    @functools.wraps(backward)
    def back(ctx: Any, *grads: Any) -> Any:
        cotangents = tuple(grads[0]) if boxed else grads
        token = watch.called(function, ctx, cotangents)
        found = backward(ctx, *grads)
        watch.returned(function, ctx, token, cotangents, found)
        return found

    return {**wrappers, name: back}
