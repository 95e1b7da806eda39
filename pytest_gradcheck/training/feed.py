"""Batches, one a step, from whatever the user iterates over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Batch:
    """What one step trains on: a tensor, or a tuple or dict of arguments for the model, and the targets of its loss.

    Targets are None where the batch is one dict of arguments: the labels are among them, or there are none.
    """

    inputs: Any
    targets: Any

    def shape(self) -> str:
        """Shapes, dtypes and device of the inputs, as messages print them."""
        leaves = [leaf for leaf in tree_leaves(self.inputs) if isinstance(leaf, torch.Tensor)]
        said = [f"{tuple(leaf.shape)} {str(leaf.dtype).removeprefix('torch.')} on {leaf.device}" for leaf in leaves]
        return ", ".join(said) or f"a {type(self.inputs).__name__}"


class Feed:
    """Gives batches without end: a loader that is exhausted starts again, a spent generator is an error.

    Args:
        batches: Iterable of `(inputs, targets)`, or of dicts of arguments.
        device: Where to put the batches, or None to leave them where they are.
        home: The model's device, on which batches must be.
        single: Whether every step gets the first batch.
        share: Which one (first) of how many batches (second) is this process's own.
    """

    def __init__(
        self,
        batches: Any,
        device: torch.device | None,
        home: torch.device,
        single: bool = False,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if isinstance(batches, (torch.Tensor, type)) or not hasattr(batches, "__iter__"):
            raise UsageProblem(
                f"batches is a {type(batches).__name__}, but it must be an iterable of (inputs, targets), "
                f"such as a DataLoader or a list of pairs{'; call it' if callable(batches) else ''}"
            )
        self._source, self._device, self.home, self._single, self._share = batches, device, home, single, share
        self._iterator: Iterator[Any] = iter(batches)
        self._given = 0
        self._peeked: Batch | None = None

    def next(self) -> Batch:
        """The next batch, on the model's device.

        Raises:
            UsageProblem: There is none, it is not a pair, or it lies on another device.
        """
        batch = self.peek()
        if not self._single:
            self._peeked = None
        return batch

    def peek(self) -> Batch:
        """The batch that `next` will give.

        Raises:
            UsageProblem: As `next`.
        """
        if self._peeked is None:
            self._peeked = self._checked(self._own())
            self._given += 1
        return self._peeked

    def _own(self) -> Any:
        mine, of = self._share
        return [self._draw() for _ in range(of)][mine]

    def _draw(self) -> Any:
        for item in self._iterator:
            return item
        if self._iterator is self._source:
            raise UsageProblem(
                f"batches ended after {self._given} of them, and a {type(self._source).__name__} cannot start again: "
                "pass a DataLoader or a list, or ask for fewer steps"
            )
        self._iterator = iter(self._source)
        for item in self._iterator:
            return item
        raise UsageProblem(f"batches is empty: the {type(self._source).__name__} gives no batch")

    def _checked(self, item: Any) -> Batch:
        inputs, targets = self._pair(item)
        if self._device is not None:
            inputs, targets = self._moved(inputs), self._moved(targets)
        for name, part in (("inputs", inputs), ("targets", targets)):
            for leaf in tree_leaves(part):
                if isinstance(leaf, torch.Tensor) and leaf.device != self.home:
                    raise UsageProblem(
                        f"the {name} of batch {self._given} are on {leaf.device}, but the model is on {self.home}: "
                        "put both on one device, or pass device="
                    )
        return Batch(inputs, targets)

    def _pair(self, item: Any) -> tuple[Any, Any]:
        if isinstance(item, Mapping):
            return dict(item), None
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            size = len(item) if isinstance(item, (tuple, list)) else None
            what = f"a {type(item).__name__}" + (f" of {size}" if size is not None else "")
            more = ", as in ((first, second), targets) for a model of two inputs" if size in {3, 4} else ""
            raise UsageProblem(
                f"batch {self._given} is {what}, but it must be a pair (inputs, targets){more}, or a dict of "
                "arguments for a model that returns its loss"
            )
        inputs, targets = item
        return dict(inputs) if isinstance(inputs, Mapping) else inputs, targets

    def _moved(self, part: Any) -> Any:
        try:
            return tree_map(lambda leaf: _moved(leaf, self._device) if isinstance(leaf, torch.Tensor) else leaf, part)
        except (RuntimeError, NotImplementedError) as error:
            raise UsageProblem(f"batch {self._given} cannot be put on {self._device}: {error}") from error


def _moved(tensor: torch.Tensor, device: torch.device | None) -> torch.Tensor:
    """A tensor on a device. To CUDA it goes through pinned memory, so that the host need not wait for it."""
    if device is not None and device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def describe(batches: Any) -> str:
    """One line about the data: the loader's own `description`, else its type and length."""
    said = getattr(batches, "description", None)
    if isinstance(said, str):
        return said
    count = len(batches) if hasattr(batches, "__len__") else None
    size = "" if count is None else f", {count} {'batch' if count == 1 else 'batches'}"
    data = getattr(batches, "dataset", None)
    return type(batches).__name__ + (f" over {type(data).__name__}" if data is not None else "") + size
