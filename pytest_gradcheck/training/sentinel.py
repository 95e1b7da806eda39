"""Whether a loss and its gradients are finite, in one read a step, as closely as the budget allows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import torch

from pytest_gradcheck.training.numbers import non_finite, values_of

if TYPE_CHECKING:
    from pytest_gradcheck.training.budget import Budget
    from pytest_gradcheck.training.reader import Reader

Named = list[tuple[str, torch.Tensor]]
#: However tight the budget, one step in so many has all its gradients read, and one in so many its biases.
FULL_EVERY, THIN_EVERY = 64, 8
#: Steps at the start whose gradients are all read, and until which the loss alone never has to do: a short run saves
#: nothing by it, and the first looks, which warm up, say little of what later ones cost.
FIRST_FULL, FIRST_THIN = 4, 32
#: Biases that a thin look takes, and the size of a first weight that it takes besides.
_FEW, _SMALL = 32, 65536


@dataclass(frozen=True)
class Reading:
    """What the sentinel saw in one step, before the optimizer moved anything.

    Attributes:
        loss: The loss.
        norms: Euclidean norm of each gradient that was read, by parameter name.
        bad: Names of the gradients that hold a nan or an infinity, with which of the two.
        step: The step.
        full: Whether every gradient was read.
        extra: Numbers that were sent along.
        rate: The learning rate, where it was sent along because reading it at once would have waited for the device.
    """

    loss: float
    norms: dict[str, float]
    bad: dict[str, str]
    step: int = 0
    full: bool = True
    extra: torch.Tensor | None = field(default=None, compare=False)
    rate: float | None = None

    @property
    def total(self) -> float:
        """Euclidean norm over all gradients; 0 where there are none, nan where not all were read."""
        return math.hypot(*self.norms.values()) if self.full else math.nan

    @property
    def healthy(self) -> bool:
        """Whether the loss and every gradient that was read are finite."""
        return math.isfinite(self.loss) and not self.bad


#: What each kind of look is called in the budget.
_NAMES = ("loss look", "thin look", "full look")


@dataclass(frozen=True)
class _Sent:
    step: int
    names: tuple[str, ...]
    full: bool


class Look(IntEnum):
    """How closely a step is looked at."""

    LOSS = 0
    THIN = 1
    FULL = 2


class Sentinel:
    """Looks at every step: at all gradients, or where that costs too much at the loss, the biases and the first weight.

    A nan in backward reaches every layer before the one that made it, so the first weight and the biases nearly always
    show it. Where they do, all gradients are read after all. Where even that costs too much, the loss alone is read: a
    nan that it does not show is in the weights after the step, and in the next loss.

    Args:
        budget: What watching may cost.
        reader: How numbers get to the host.
        least: The thinnest look that is allowed.

    Attributes:
        looks: How many looks there were of each kind.
    """

    def __init__(self, budget: Budget, reader: Reader, least: Look = Look.LOSS) -> None:
        self.budget, self._reader, self._least = budget, reader, least
        self._since = dict.fromkeys(Look, 0)
        self.looks = dict.fromkeys(Look, 0)

    @property
    def late(self) -> bool:
        """Whether readings may come after their step."""
        return self._reader.late

    def choose(self) -> Look:
        """How closely the next step is to be looked at, by what such looks have cost."""
        done = sum(self.looks.values())
        due = done < FIRST_FULL or self._since[Look.FULL] + 1 >= FULL_EVERY
        if due or self.budget.allows("state", "full look"):
            return Look.FULL
        due = done < FIRST_THIN or self._since[Look.THIN] + 1 >= THIN_EVERY
        return Look.THIN if due or self.budget.allows("state", "thin look") else self._least

    def look(
        self, step: int, loss: torch.Tensor, grads: Named, extra: torch.Tensor | None = None, how: Look = Look.FULL
    ) -> list[Reading]:
        """Look at a step; returns the readings that are known now, of earlier steps where numbers come late.

        Args:
            step: The step.
            loss: Its loss, of one element.
            grads: Its gradients by parameter name.
            extra: Further numbers to read along, of one dimension.
            how: How closely.
        """
        for kind in Look:
            self._since[kind] = 0 if kind <= how else self._since[kind] + 1
        self.looks[how] += 1
        with self.budget.charge(_NAMES[how]):
            full = how is Look.FULL
            if how is Look.LOSS and not self.late:
                reading = Reading(float(loss.detach()), {}, {}, step, full=False)
                return [reading if reading.healthy else replace(read(loss, grads), step=step)]
            chosen = grads if full else _few(grads) if how is Look.THIN else []
            dense = [values_of(grad) for _, grad in chosen]
            sent = _Sent(step, tuple(name for name, _ in chosen), full)
            arrived = self._reader.exchange(_fused(loss, dense, extra, self.late), sent)
            known = [_understood(values, note) for values, note in arrived]
            if self.late:
                return known
            confirmed = _confirmed(known[0], dense)
            return [confirmed if full or confirmed.healthy else replace(read(loss, grads), step=step)]

    def rest(self) -> list[Reading]:
        """The readings of steps that have not been given yet."""
        return [_understood(values, note) for values, note in self._reader.rest()]


def read(loss: torch.Tensor, named: Named) -> Reading:
    """Read a loss and the norms of all named gradients from the device at once.

    The norm of a gradient is taken in the gradient's own precision, where squares may overflow although every element
    is finite (float32: above 1.8e19). So a norm that is not finite only raises suspicion; the elements decide.
    """
    dense = [values_of(grad) for _, grad in named]
    sent = _Sent(0, tuple(name for name, _ in named), full=True)
    return _confirmed(_understood(_fused(loss, dense, None, wide=False), sent), dense)


def tensor_norms(tensors: list[torch.Tensor], dtype: torch.dtype | None = None) -> tuple[torch.Tensor, ...]:
    """Euclidean norms as tensors without dimensions, of all tensors in few kernels."""
    if not tensors:
        return ()
    # The fused form has no public name; torch.nn.utils.get_total_norm wraps it and keeps only the total.
    return tuple(torch._foreach_norm(tensors, 2, dtype) if dtype else torch._foreach_norm(tensors))


def _few(grads: Named) -> Named:
    """The first weight and the biases, evenly chosen where there are many; a large weight only where no bias is."""
    first = next((pair for pair in grads if pair[1].dim() > 1), None)
    small = [pair for pair in grads if pair[1].dim() <= 1]
    small = small[:: -(-len(small) // _FEW)] if len(small) > _FEW else small
    return [first, *small] if first and (first[1].numel() <= _SMALL or not small) else small


def _fused(loss: torch.Tensor, dense: list[torch.Tensor], extra: torch.Tensor | None, wide: bool) -> torch.Tensor:
    """Loss, norms and what is sent along as one tensor of one dimension.

    Args:
        loss: The loss.
        dense: The gradients.
        extra: What is sent along.
        wide: Whether norms are summed in double precision: numbers that come late cannot be confirmed any more.
    """
    if wide:
        dense = [torch.view_as_real(grad) if grad.is_complex() else grad for grad in dense]
    norms = tensor_norms(dense, torch.float64 if wide else None)
    values = torch.stack([loss.detach().reshape(()), *(norm.to(loss.device) for norm in norms)])
    return values if extra is None else torch.cat([values, extra.to(loss.device)])


def _understood(values: torch.Tensor, sent: _Sent) -> Reading:
    count = 1 + len(sent.names)
    loss, *norms = values[:count].tolist()
    named = dict(zip(sent.names, norms, strict=True))
    bad = {name: "nan" if math.isnan(norm) else "inf" for name, norm in named.items() if not math.isfinite(norm)}
    return Reading(loss, named, bad, sent.step, sent.full, values[count:])


def _confirmed(reading: Reading, dense: list[torch.Tensor]) -> Reading:
    """The reading with its suspects looked at element by element."""
    if not reading.bad:
        return reading
    norms, bad = dict(reading.norms), {}
    for name, grad in zip(reading.norms, dense, strict=True):
        if name in reading.bad:
            kind = non_finite(grad)
            norms[name] = float(torch.linalg.vector_norm(grad, dtype=_wide(grad)))
            if kind:
                bad[name] = kind
    return replace(reading, norms=norms, bad=bad)


def _wide(tensor: torch.Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64
