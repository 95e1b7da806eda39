"""The subject a little beside the point of the check, where the point itself lies on kinks, jumps or a domain's edge.

Between one-sided slopes there is room for a fault: a direction through a thousand of ReLU's kinks admits any value that
a wrong element elsewhere leads to, and one that leaves the domain in one element measures no other. Beside the point
the kinks are gone, the domain is open, and a fault is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.numerics.directions import generator, signed
from pytest_gradcheck.subjects.subject import Subject

#: How far every number is moved: far beyond any step that a measurement takes, near enough to stay in most domains.
JITTER = 1e-3
#: Ways to leave the point, from a random offset and the place itself. At random, if that stays within the domain; else
#: away from its edge: upwards (sqrt at 0), downwards, or towards zero (acos at 1 and -1).
WAYS: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
    lambda drawn, _: drawn,
    lambda drawn, _: drawn.abs(),
    lambda drawn, _: -drawn.abs(),
    lambda drawn, at: -drawn.abs() * at.sgn(),
)


@contextmanager
def nearby(context: Context) -> Iterator[Context]:
    """The context of the same check at a random point nearby, the same one every time; its leaves are in their order.

    Raises:
        UsageProblem: The forward refuses that point; raised by what is asked of the context, not here.
    """
    if context.beside is None:
        context.way = next((way for way in range(len(WAYS)) if _inside(context, way)), 0)
    with context.subject.moved(_offsets(context, context.way)) as there:
        if context.beside is None:
            context.beside = _at(context, there)
        # What it measured stays true: only the leaves are new.
        context.beside.subject, context.beside.deadline = there, context.deadline
        yield context.beside


def _at(context: Context, there: Subject) -> Context:
    return Context(there, context.settings, context.deadline, context.spread)


def _inside(context: Context, way: int) -> bool:
    """Whether the forward has a number for every output there."""
    try:
        with context.subject.moved(_offsets(context, way)) as there:
            return _at(context, there).finite
    except UsageProblem:
        return False


def _offsets(context: Context, way: int) -> list[torch.Tensor]:
    source = generator(context.settings.seed, "jitter")
    leave = WAYS[way]
    return [JITTER * leave(signed(leaf.tensor, source), leaf.tensor.detach()) for leaf in context.subject.leaves]
