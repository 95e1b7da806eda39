"""A subject as a pure function of its tensors, which can be moved along lines and differentiated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.numerics.directions import BLOCK, Tangent, paired
from pytest_gradcheck.numerics.stencil import Line
from pytest_gradcheck.subjects.constants import Constant


@dataclass(frozen=True, eq=False)
class Leaf:
    """A tensor whose gradient is checked.

    Attributes:
        name: Its name in the report.
        tensor: The tensor that the subject really reads; it is moved in place.
        origin: Its values at the point of the check; a large parameter's in the precision they were found in, which
            holds them exactly and costs no second copy.
        kind: "input", "parameter", or "cotangent" in a second-order check.
    """

    name: str
    tensor: torch.Tensor
    origin: torch.Tensor
    kind: str

    @classmethod
    def of(cls, name: str, tensor: torch.Tensor, kind: str, found: torch.Tensor | None = None) -> Leaf:
        """A leaf at the tensor's present values; `found` is what they were cast from, where that is kept anyway."""
        kept = found is not None and tensor.numel() > BLOCK and found.device == tensor.device
        return cls(name, tensor, found if kept and found is not None else tensor.detach().clone(), kind)

    @property
    def numel(self) -> int:
        """Number of real numbers in the tensor: a complex element counts twice."""
        return self.tensor.numel() * (2 if self.tensor.is_complex() else 1)

    def real(self, tensor: torch.Tensor | None = None) -> torch.Tensor:
        """The leaf's values (or a tensor of its shape) as real numbers; complex ones get a last axis of two."""
        found = (self.tensor if tensor is None else tensor).detach()
        return torch.view_as_real(found.resolve_conj()) if found.is_complex() else found

    def index(self, position: int) -> tuple[int, ...]:
        """The index into `real()` of the element at a flat position."""
        index = []
        for size in reversed(self.real().shape):
            position, rest = divmod(position, size)
            index.append(rest)
        return tuple(reversed(index))


class Moves(NamedTuple):
    """The one element that each row of a batch moves.

    Attributes:
        own: The values of the leaf, which is real; nothing may write into them.
        places: The element's flat position; int64, shape (rows,).
        by: How far it is moved, 0 for not at all; shape (rows,).
    """

    own: torch.Tensor
    places: torch.Tensor
    by: torch.Tensor


class Stack(NamedTuple):
    """Many values of a leaf, and what the outputs are compared and paired with.

    Attributes:
        leaf: The leaf to replace.
        values: Its values; shape (n, *leaf.shape).
        baseline: The outputs at the point of the check.
        cotangents: One per output.
        moves: What the rows of `values` move, where that is one element each.
    """

    leaf: Leaf
    values: torch.Tensor
    baseline: Sequence[torch.Tensor]
    cotangents: Sequence[torch.Tensor]
    moves: Moves | None = None


class Batch(Protocol):
    """Many evaluations at once; None where the subject cannot be evaluated in a batch."""

    def objectives(self, stack: Stack) -> torch.Tensor | None:
        """`Re <v, f - baseline>` at every row of the stack; float64, shape (n,)."""

    def terms(self, stack: Stack) -> torch.Tensor | None:
        """What `objectives` sums; float64, shape (n, real numbers in all outputs)."""


class Gradients(NamedTuple):
    """What one backward pass gave: a gradient per leaf, and whether it was a tensor at all (None counts as zero)."""

    values: list[torch.Tensor]
    reached: list[bool]


class Subject:
    """A pure function from its leaves to a list of floating or complex tensors.

    Args:
        name: What to call it in messages.
        leaves: The tensors it is differentiated by.
        compute: Evaluates it at the leaves' present values, with a graph; deterministic up to its own noise.
        function: The custom `autograd.Function`, where the subject is one.
        source: "file:line" of its backward or forward, or None.
        size: Numbers that one evaluation reads at least; a crude unit of its cost.
        batch: Evaluates it at many values of one leaf at once, or None where that is never possible.
        constants: What torch gives no gradient on purpose, and was held constant.
    """

    def __init__(
        self,
        name: str,
        leaves: Sequence[Leaf],
        compute: Callable[[], list[torch.Tensor]],
        function: type[torch.autograd.Function] | None = None,
        source: str | None = None,
        size: int = 0,
        batch: Batch | None = None,
        constants: Sequence[Constant] = (),
    ) -> None:
        self.name = name
        self.leaves = tuple(leaves)
        self.function = function
        self.source = source
        self.size = size
        self.batch = batch
        self.constants = constants
        self.calls = 0
        #: What the forward raised at a perturbed point, if it did.
        self.raised: str | None = None
        self._compute = compute

    @property
    def written(self) -> Sequence[str]:
        """Names of the inputs that the forward wrote into, known after its first evaluation."""
        found: Sequence[str] = getattr(self._compute, "written", ())
        return found

    @property
    def returned(self) -> str:
        """What the first evaluation returned, in words; known after it."""
        found: str = getattr(self._compute, "returned", "")
        return found

    def evaluate(self) -> list[torch.Tensor]:
        """The outputs at the leaves' present values, in grad mode, so that every point takes the backward's path."""
        self.calls += 1
        with torch.enable_grad():
            return self._compute()

    def gradients(self, cotangents: Sequence[torch.Tensor], create_graph: bool = False) -> Gradients:
        """One forward and one backward: the vjp of the cotangents with every leaf, None as zero, sparse made dense."""
        # A backward that writes into its cotangent must not spoil the caller's. Other layouts are the caller's own.
        pairs = [
            (output, cotangent.clone() if cotangent.is_contiguous() else cotangent)
            for output, cotangent in zip(self.evaluate(), cotangents, strict=True)
            if output.requires_grad
        ]
        leaves = [leaf.tensor for leaf in self.leaves]
        found: Sequence[torch.Tensor | None] = [None] * len(leaves)
        if pairs:
            found = _backward([y for y, _ in pairs], [v for _, v in pairs], leaves, create_graph)
        if not create_graph:  # a backward may return an output of its forward, which requires a gradient
            found = [None if value is None else value.detach() for value in found]
        values = [
            torch.zeros_like(leaf) if value is None else value.to_dense() if value.layout != torch.strided else value
            for leaf, value in zip(leaves, found, strict=True)
        ]
        return Gradients(values, [value is not None for value in found])

    def objective(self, baseline: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]) -> float:
        """`Re <v, f - baseline>`: the difference is taken first, so that no large constant part rounds it away."""
        try:
            outputs = self.evaluate()
        except UsageProblem as problem:
            # The point of the check was fine; this one lies off what the forward accepts.
            self.raised = str(problem)
            return float("nan")
        if [output.shape for output in outputs] != [output.shape for output in baseline]:
            return float("nan")
        with torch.no_grad():
            return float(paired(outputs, baseline, cotangents))

    @contextmanager
    def along_element(self, leaf: Leaf, position: int, objective: Callable[[], float]) -> Iterator[Line]:
        """The line that moves one element of a leaf."""
        values, index = leaf.real(), leaf.index(position)
        start = float(values[index])

        def line(step: float) -> tuple[float, float]:
            values[index] = start + step
            # What floating point really made of the step: at 1e8 a step of 1e-5 is off by a thousandth.
            displacement = float(values[index]) - start
            return objective(), displacement

        try:
            yield line
        finally:
            values[index] = start

    @contextmanager
    def along(self, tangents: Mapping[Leaf, torch.Tensor | Tangent], objective: Callable[[], float]) -> Iterator[Line]:
        """The line that moves whole leaves along tangents."""

        def line(step: float) -> tuple[float, float]:
            with torch.no_grad():
                for leaf, tangent in tangents.items():
                    moved = leaf.tensor.detach().copy_(leaf.origin)
                    if isinstance(tangent, Tangent):
                        tangent.shift(moved, step)
                    else:
                        moved.add_(tangent, alpha=step)
            return objective(), step

        try:
            yield line
        finally:
            for leaf in tangents:
                leaf.tensor.detach().copy_(leaf.origin)

    @contextmanager
    def moved(self, offsets: Sequence[torch.Tensor]) -> Iterator[Subject]:
        """The same subject at another point: every leaf shifted by its offset."""
        try:
            for leaf, offset in zip(self.leaves, offsets, strict=True):
                leaf.tensor.detach().add_(offset)
            there = [Leaf.of(leaf.name, leaf.tensor, leaf.kind) for leaf in self.leaves]
            yield Subject(self.name, there, self.evaluate, self.function, self.source, self.size)
        finally:
            for leaf in self.leaves:
                leaf.tensor.detach().copy_(leaf.origin)


def _backward(
    outputs: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor], leaves: list[torch.Tensor], create_graph: bool
) -> Sequence[torch.Tensor | None]:
    try:
        return torch.autograd.grad(outputs, leaves, cotangents, create_graph=create_graph, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
    # Re-entrant checkpoints refuse autograd.grad, and only backward() reaches the parameters inside of them. The
    # refusal did not consume the graph. Gradients land in .grad of the copies and are taken away again.
    for leaf in leaves:
        leaf.grad = None
    torch.autograd.backward(outputs, cotangents, create_graph=create_graph)
    found = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return found
