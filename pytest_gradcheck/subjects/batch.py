"""Many evaluations at once: one leaf's values stacked along a new first axis, by `torch.vmap`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch

from pytest_gradcheck.numerics.directions import paired
from pytest_gradcheck.subjects.decomposed import Decomposed
from pytest_gradcheck.subjects.forward import Forward
from pytest_gradcheck.subjects.single_moves import SingleMoves
from pytest_gradcheck.subjects.state import Held
from pytest_gradcheck.subjects.subject import Stack


class Batch:
    """Evaluates a subject at many values of one leaf.

    Whether a subject can be vmapped is found out by trying: hand-written kernels, `.item()`, data-dependent branches
    and writes into state that is not a buffer cannot. What vmap computes is not trusted either; the caller compares.

    Args:
        forward: The subject's forward, which takes stand-ins for its tensors.
        held: Its state: every row of the batch gets buffers of its own to write into.
    """

    def __init__(self, forward: Forward, held: Held) -> None:
        self._forward = forward
        self._held = held

    def objectives(self, stack: Stack) -> torch.Tensor | None:
        """`Re <v, f - baseline>` with the leaf at every row: the sum of its `terms`; float64, shape (n,)."""
        return self._mapped(stack, _sums(stack.baseline, stack.cotangents))

    def terms(self, stack: Stack) -> torch.Tensor | None:
        """`v * (f - baseline)` for every output element; float64, shape (n, real numbers in all outputs)."""
        return self._mapped(stack, lambda outputs: products(outputs, stack.baseline, stack.cotangents))

    def _mapped(self, stack: Stack, reduce: Callable[[list[torch.Tensor]], torch.Tensor]) -> torch.Tensor | None:
        leaf, values, moves = stack.leaf, stack.values, stack.moves
        if not self._forward.takes(leaf.tensor):
            return None
        buffers = self._held.written
        rows = len(values)
        single = () if moves is None else (moves.places[:, None], moves.by)

        def play(value: torch.Tensor, row: tuple[torch.Tensor, ...], *own: torch.Tensor) -> torch.Tensor:
            instead = {id(leaf.tensor): value} | {id(buffer): row for buffer, row in zip(buffers, own, strict=True)}
            with Decomposed(SingleMoves(value, moves, *row) if moves is not None else None):
                return reduce(self._forward(instead))

        stacked = [buffer.detach().expand(rows, *buffer.shape).clone() for buffer in buffers]
        try:
            with torch.enable_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # vmap's own, about the speed of what it has no rule for
                found: torch.Tensor = torch.vmap(play, randomness="same")(values, single, *stacked)
        except Exception:  # noqa: BLE001  whatever a subject does not support under vmap, the loop does
            return None
        finally:
            self._held.restore()
        return found.detach()


def _sums(
    baseline: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]
) -> Callable[[list[torch.Tensor]], torch.Tensor]:
    """`paired` for fixed points and cotangents, in fewer passes over outputs of which all count."""
    whole = [v.dtype is torch.float64 and v.device.type == "cpu" and bool(v.all()) for v in cotangents]

    def summed(outputs: list[torch.Tensor]) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for output, base, cotangent, every in zip(outputs, baseline, cotangents, whole, strict=True):
            if every and output.shape == base.shape:
                total = total + torch.dot((output - base).reshape(-1), cotangent.reshape(-1))
            else:
                total = total + paired([output], [base], [cotangent])
        return total

    return summed


def products(
    outputs: Sequence[torch.Tensor], baseline: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]
) -> torch.Tensor:
    """What `paired` sums, one number per real number of the outputs; float64, shape (n,)."""
    found = []
    for output, base, cotangent in zip(outputs, baseline, cotangents, strict=True):
        change = torch.where(cotangent != 0, output - base, 0)
        if cotangent.is_complex():
            change, cotangent = torch.view_as_real(change), torch.view_as_real(cotangent)
        found.append((change.double() * cotangent.double()).reshape(-1).cpu())
    return torch.cat(found)
