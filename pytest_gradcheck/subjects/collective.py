"""A subject that calls collectives, made one function of the tensors of all ranks.

Rank 0 asks for values and gradients, and all ranks compute them together: every decision is made by one process, so
that none can wait in a collective that another one does not call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, TypeVar

import torch
from torch.autograd.function import once_differentiable

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.ranks import RankLost, Ranks
from pytest_gradcheck.subjects.observe import functions
from pytest_gradcheck.subjects.subject import Leaf, Subject

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """What the other ranks must know of one rank's subject.

    Attributes:
        raised: Why there is no subject, or None.
        collectives: Names of the collectives that its forward or backward called.
        leaves: Name, values and kind of its leaves.
        outputs: Its outputs, and whether each has a gradient.
    """

    raised: str | None = None
    collectives: tuple[str, ...] = ()
    leaves: list[tuple[str, torch.Tensor, str]] = field(default_factory=list)
    outputs: list[tuple[torch.Tensor, bool]] = field(default_factory=list)


class _Word(IntEnum):
    """What rank 0 asks of all."""

    STOP = 0
    VALUES = 1
    GRADIENTS = 2


class Crowd:
    """The ranks that compute one subject together.

    Args:
        ranks: This process among them.
        subject: Its own part.
        parts: What every rank has, in their order.
    """

    def __init__(self, ranks: Ranks, subject: Subject, parts: Sequence[Part]) -> None:
        self.ranks, self.parts = ranks, list(parts)
        self._subject = subject
        self._functions = functions(subject)  # one more forward, of all ranks
        self._leaves = [[values for _, values, _ in part.leaves] for part in parts]
        self._outputs = [[values for values, _ in part.outputs] for part in parts]
        self._said = ""

    @property
    def collectives(self) -> list[str]:
        """Names of the collectives that were called, on any rank."""
        return list(dict.fromkeys(name for part in self.parts for name in part.collectives))

    def answer(self, ask: Callable[[Subject], T]) -> T:
        """What `ask` makes of the whole subject on rank 0; every rank returns it, or raises what it raised."""
        found: T | None = None
        raised: Exception | None = None
        if self.ranks.rank == 0:
            try:
                found = ask(self._whole())
            except RankLost:
                raise
            except Exception as error:  # noqa: BLE001  the others wait for an answer, whatever it is
                raised = error
            self._sent(_Word.STOP, [], [])
        else:
            while self._take():
                pass
        told = None if raised is None else (isinstance(raised, UsageProblem), str(raised) or type(raised).__name__)
        answers = self.ranks.gather((found, told))
        if raised is not None:
            raise raised
        first, told = answers[0]
        if told is not None:
            usage, said = told
            raise UsageProblem(said) if usage else RuntimeError(f"rank 0 of {self.ranks.size}: {said}")
        assert first is not None
        return first

    def ask(
        self, word: _Word, values: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor] = ()
    ) -> list[list[torch.Tensor | None]]:
        """On rank 0: has all ranks compute; one list a rank, in a gradient None where nothing was reached."""
        replies = self._reply(word, self._sent(word, values, cotangents))
        like = self._outputs if word is _Word.VALUES else self._leaves
        found = []
        for reply, tensors in zip(replies, like, strict=True):
            reached, numbers = reply[: len(tensors)], reply[len(tensors) :]
            unpacked = _unpacked(numbers, tensors)
            found.append([value if there else None for value, there in zip(unpacked, reached, strict=True)])
        return found

    def _whole(self) -> Subject:
        home = self._subject.leaves[0].tensor.device
        leaves = [
            Leaf.of(f"{name} on rank {rank}", values.to(home, copy=True).requires_grad_(), kind)
            for rank, part in enumerate(self.parts)
            for name, values, kind in part.leaves
        ]

        def compute() -> list[torch.Tensor]:
            return list(_Everywhere.apply(self, *(leaf.tensor for leaf in leaves)))  # type: ignore[no-untyped-call]

        mine = self._subject
        size = mine.size * self.ranks.size
        whole = Subject(mine.name, leaves, compute, None, mine.source, size, constants=mine.constants)
        vars(whole)["_custom_functions"] = self._functions
        return whole

    def _sent(self, word: _Word, values: Sequence[torch.Tensor], cotangents: Sequence[torch.Tensor]) -> torch.Tensor:
        """The message of rank 0: a word, the leaves of all ranks, and the cotangents of all ranks."""
        message = self._blank()
        numbers = torch.cat([torch.tensor([float(word)], dtype=torch.float64), *map(_packed, (*values, *cotangents))])
        message[: len(numbers)] = numbers
        return self.ranks.from_first(message)

    def _blank(self) -> torch.Tensor:
        tensors = [tensor for each in (*self._leaves, *self._outputs) for tensor in each]
        return torch.zeros(1 + sum(map(_size, tensors)), dtype=torch.float64)

    def _take(self) -> bool:
        """On the other ranks: does what rank 0 asks; False where it asks nothing more."""
        message = self.ranks.from_first(self._blank())
        word = _Word(int(message[0]))
        if word is _Word.STOP:
            return False
        with suppress(UsageProblem):  # rank 0 raises it
            self._reply(word, message)
        return True

    def _reply(self, word: _Word, message: torch.Tensor) -> list[torch.Tensor]:
        """What every rank computes for a message: whether each tensor was reached, and the numbers.

        Raises:
            UsageProblem: It raised on some rank.
        """
        sizes = [sum(1 + _size(tensor) for tensor in each) for each in (*self._leaves, *self._outputs)]
        mine = torch.zeros(1 + max(sizes), dtype=torch.float64)
        try:
            numbers = self._computed(word, message[1:])
            mine[1 : 1 + len(numbers)] = numbers
        except Exception as error:  # noqa: BLE001  it must be told to the others before it is raised
            mine[0], self._said = 1.0, str(error) or type(error).__name__
        replies = self.ranks.together(mine)
        failing = [rank for rank, reply in enumerate(replies) if reply[0]]
        if failing:
            said = self.ranks.gather(self._said)[failing[0]]
            raise UsageProblem(f"rank {failing[0]} of {self.ranks.size}: {said}")
        return [reply[1:] for reply in replies]

    def _computed(self, word: _Word, numbers: torch.Tensor) -> torch.Tensor:
        rank, subject = self.ranks.rank, self._subject
        tensors = [tensor for each in (*self._leaves, *self._outputs) for tensor in each]
        given = iter(_unpacked(numbers, tensors))
        values = [[next(given) for _ in each] for each in self._leaves][rank]
        cotangents = [[next(given) for _ in each] for each in self._outputs][rank]
        try:
            for leaf, value in zip(subject.leaves, values, strict=True):
                leaf.tensor.detach().copy_(value)
            if word is _Word.VALUES:
                found = subject.evaluate()
                reached = [True] * len(found)
                if [each.shape for each in found] != [each.shape for each in self._outputs[rank]]:
                    raise UsageProblem("the shapes of the outputs change with the values of the inputs")
            else:
                device = subject.leaves[0].tensor.device
                found, reached = subject.gradients([cotangent.to(device) for cotangent in cotangents])
        finally:
            for leaf in subject.leaves:
                leaf.tensor.detach().copy_(leaf.origin)
        return torch.cat([torch.tensor(reached, dtype=torch.float64), *map(_packed, found)])


class _Everywhere(torch.autograd.Function):
    """All ranks' outputs as a function of all ranks' leaves."""

    @staticmethod
    def forward(ctx: Any, crowd: Crowd, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.crowd = crowd
        ctx.save_for_backward(*values)
        home = values[0].device
        found = [value.to(home) for each in crowd.ask(_Word.VALUES, values) for value in each if value is not None]
        graphs = [has for part in crowd.parts for _, has in part.outputs]
        ctx.mark_non_differentiable(*(value for value, has in zip(found, graphs, strict=True) if not has))
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values = ctx.saved_tensors
        found = [value for each in ctx.crowd.ask(_Word.GRADIENTS, values, cotangents) for value in each]
        pairs = zip(found, values, strict=True)
        return None, *(None if value is None else value.to(like.device) for value, like in pairs)


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def _packed(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor in float64, which holds those of every narrower dtype exactly; one dimension."""
    values = tensor.detach().cpu()
    values = torch.view_as_real(values.resolve_conj()) if values.is_complex() else values
    return values.double().reshape(-1)


def _unpacked(numbers: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    found, start = [], 0
    for tensor in like:
        part = numbers[start : start + _size(tensor)]
        start += len(part)
        real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        shaped = part.reshape(real.shape).to(real.dtype)
        found.append(torch.view_as_complex(shaped) if tensor.is_complex() else shaped)
    return found
