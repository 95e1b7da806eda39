"""One evaluation of a subject: its inputs in copies of their own, its state held still, its randomness replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.subjects import state, tree
from pytest_gradcheck.subjects.randomness import Replayed
from pytest_gradcheck.subjects.refused import arrays, given
from pytest_gradcheck.subjects.resolve import Resolved, at


class FirstForwardRaised(UsageProblem):
    """The very first call of the subject's forward raised: it may want another dtype. The cause is chained."""


class Arguments:
    """The call's inputs in copies of their own; every evaluation gets fresh clones, so that it may write into them."""

    def __init__(
        self, inputs: Sequence[Any], kwargs: Mapping[str, Any], dtype: torch.dtype, device: torch.device | None
    ) -> None:
        #: What to say beside an error of the forward.
        self.hint = arrays(inputs, kwargs)
        self._count = len(inputs)
        self._keys = list(kwargs)
        self.tensors: dict[str, torch.Tensor] = {}
        self.requiring: set[str] = set()

        def take(name: str, tensor: torch.Tensor) -> torch.Tensor:
            found = tensor.detach()
            own = state.cast(found, dtype, device)
            own = own.clone() if own is found else own
            if own.layout is torch.strided and not own.is_nested:
                own = own.resolve_conj().resolve_neg()
            if tensor.requires_grad:
                self.requiring.add(name)
            self.tensors[name] = own
            return own

        self._values = {name: tree.replace(value, take, name) for name, value in given(inputs, kwargs).items()}

    def fresh(self, instead: Mapping[int, torch.Tensor]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for one call; `instead` maps the ids of tensors to their stand-ins."""

        def take(_: str, tensor: torch.Tensor) -> torch.Tensor:
            return instead.get(id(tensor), tensor).clone()

        values = [tree.replace(value, take) for value in self._values.values()]
        return values[: self._count], dict(zip(self._keys, values[self._count :], strict=True))

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether this very tensor is one of the inputs."""
        return any(own is tensor for own in self.tensors.values())

    def shapes(self) -> str:
        """The tensors' shapes, for messages."""
        return ", ".join(str(tuple(tensor.shape)) for tensor in self.tensors.values()) or "no tensors"


class Forward:
    """One evaluation: state restored, randomness replayed, inputs fresh, outputs flat."""

    def __init__(
        self, resolved: Resolved, module: nn.Module | None, arguments: Arguments, held: state.Held, replayed: Replayed
    ) -> None:
        self._call = resolved.call(module)
        self._name = resolved.name
        self._arguments = arguments
        self._held = held
        self._replayed = replayed
        self._calls = 0
        self._raised: str | None = None
        #: Names of the inputs that the first call wrote into, and what it returned.
        self.written: list[str] = []
        self.returned = ""

    def takes(self, tensor: torch.Tensor) -> bool:
        """Whether another tensor can stand in for this one: it is an input, or a module's parameter or buffer."""
        return self._arguments.holds(tensor) or self._held.owns(tensor)

    def __call__(self, instead: Mapping[int, torch.Tensor] | None = None) -> list[torch.Tensor]:
        """The outputs; `instead` maps the ids of inputs, parameters and buffers to tensors to use in their place.

        Raises:
            FirstForwardRaised: The subject raised in its first call.
            UsageProblem: It raised in a later one.
        """
        __tracebackhide__ = True
        self._held.restore()
        self._replayed.restart()
        self._calls += 1
        positional, named = self._arguments.fresh(instead or {})
        try:
            with self._held.swapped(instead or {}):
                result = self._call(*positional, **named)
        except Exception as error:
            kind = FirstForwardRaised if self._calls == 1 else UsageProblem
            # Words once: a thousand points may lie off the domain, and an exception that is raised again grows.
            self._raised = self._raised or self._said(error)
            raise kind(self._raised) from error
        if self._calls == 1:
            # Each evaluation writes into copies of its own, whose version counters start at zero.
            own = given(positional, named).items()
            self.written = [at for name, value in own for at, copy in tree.tensors(value, name) if copy._version]
            self.returned = _kind(result)
        return [
            _dense(output)
            for _, output in tree.tensors(result, "output")
            if output.is_floating_point() or output.is_complex()
        ]

    def _said(self, error: Exception) -> str:
        return (
            f"{self._name} raised {type(error).__name__} in its forward on {self._arguments.shapes()} "
            f"in {str(torch.get_default_dtype()).removeprefix('torch.')}: {_first_line(error)}{at(error)}"
            f"{self._arguments.hint}"
        )


def _dense(output: torch.Tensor) -> torch.Tensor:
    if output.is_nested:
        return torch.cat([part.reshape(-1) for part in output.unbind()])  # a dense form has numbers that nobody wrote
    return output.to_dense() if output.layout != torch.strided else output


def _kind(value: Any) -> str:
    """What something is, in two words of a message."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "(no message)"
