"""A custom Function applied by hand, to the arguments and with the random numbers that its subject gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pytest_gradcheck.subjects import tree
from pytest_gradcheck.subjects.observe import FunctionClass, Watch, watched
from pytest_gradcheck.subjects.subject import Leaf, Subject


@dataclass(frozen=True)
class Application:
    """One call of a custom Function.

    Attributes:
        function: The Function.
        inputs: Its positional arguments; tensors are detached copies at the point of the check.
        state: The CPU's random state when its forward began.
        counted: The subject whose count of forward calls it adds to.
        random: Whether the forward draws from the CPU's global generator.
    """

    function: FunctionClass
    inputs: tuple[Any, ...]
    state: torch.Tensor
    counted: Subject
    random: bool

    def __call__(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """The floating and complex outputs for other inputs, in grad mode, with the same random numbers."""
        self.restart()
        with torch.enable_grad():
            return flat(self.function.apply(*inputs))  # type: ignore[no-untyped-call]

    def restart(self) -> None:
        """Sets the random state, and counts one forward call."""
        self.counted.calls += 1
        torch.set_rng_state(self.state)

    def positions(self) -> dict[int, Leaf]:
        """The checked leaves that are arguments themselves, by the argument's position."""
        by_name = {leaf.name: leaf for leaf in self.counted.leaves}
        names = ((position, f"input{position}") for position in range(len(self.inputs)))
        return {position: by_name[name] for position, name in names if name in by_name}

    def requiring(self, dtype: torch.dtype | None = None) -> tuple[list[Any], list[torch.Tensor]]:
        """Fresh inputs, and those of them that require a gradient: the leaves, in the order of their positions.

        Args:
            dtype: What floating tensors are cast to; theirs by default.
        """
        fresh = [_fresh(value, dtype) for value in self.inputs]
        leaves = [fresh[position].requires_grad_(True) for position in self.positions()]
        return fresh, leaves


def applied(subject: Subject, outputs: Sequence[torch.Tensor]) -> Application | None:
    """The subject's application of its Function; None where it is no Function, or cannot be repeated by hand.

    Args:
        subject: A subject; one whose Function takes keyword-only arguments cannot be repeated.
        outputs: What it returns at its point; two forward calls make sure that the application returns the same.
    """
    if subject.function is None:
        return None
    watch = _First()
    with watched(watch, subject.function):
        subject.evaluate()
    if watch.inputs is None or watch.state is None:
        return None
    drew = not torch.equal(watch.state, torch.get_rng_state())
    application = Application(subject.function, watch.inputs, watch.state, subject, drew)
    try:
        found = application(application.requiring()[0])
    except Exception:  # noqa: BLE001  keyword-only arguments, or anything else that the subject does differently
        return None
    same = len(found) == len(outputs) and all(
        mine.shape == theirs.shape and torch.allclose(mine, theirs, equal_nan=True)
        for mine, theirs in zip(found, outputs, strict=True)
    )
    return application if same else None


def flat(result: Any) -> list[torch.Tensor]:
    """The floating and complex tensors of a result, in the order in which a subject returns them."""
    found = (tensor for _, tensor in tree.tensors(result))
    floating = (tensor for tensor in found if tensor.is_floating_point() or tensor.is_complex())
    return [tensor.to_dense() if tensor.layout != torch.strided else tensor for tensor in floating]


def _fresh(value: Any, dtype: torch.dtype | None) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(dtype).clone() if dtype is not None and value.is_floating_point() else value.clone()


class _First(Watch):
    """Keeps the arguments and the random state of the first call."""

    def __init__(self) -> None:
        self.inputs: tuple[Any, ...] | None = None
        self.state: torch.Tensor | None = None

    def entered(self, function: FunctionClass, inputs: Sequence[Any]) -> None:
        del function
        if self.inputs is None:
            detached = (value.detach().clone() if isinstance(value, torch.Tensor) else value for value in inputs)
            self.inputs, self.state = tuple(detached), torch.get_rng_state()
