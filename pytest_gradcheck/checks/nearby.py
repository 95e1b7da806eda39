"""The subject a little beside the point of the check, where the point itself lies on kinks or jumps.

Between one-sided slopes there is room for a fault: a direction through a thousand of ReLU's kinks admits any value that
a wrong element elsewhere leads to. Beside the point the kinks are gone, and a fault is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pytest_gradcheck.checks.base import Context
from pytest_gradcheck.numerics.directions import generator, signed

#: How far every number is moved: far beyond any step that a measurement takes, near enough to stay in most domains.
JITTER = 1e-3


@contextmanager
def nearby(context: Context) -> Iterator[Context]:
    """The context of the same check at a random point nearby, the same one every time; its leaves are in their order.

    Raises:
        UsageProblem: The forward refuses that point; raised by what is asked of the context, not here.
    """
    source = generator(context.settings.seed, "jitter")
    offsets = [JITTER * signed(leaf.tensor, source) for leaf in context.subject.leaves]
    with context.subject.moved(offsets) as there:
        if context.beside is None:
            context.beside = Context(there, context.settings, context.deadline, context.spread)
        # What it measured stays true: only the leaves are new.
        context.beside.subject, context.beside.deadline = there, context.deadline
        yield context.beside
