"""A forward or a loss that raises because of a number that was not finite by then: the number is what went wrong."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training.blame import bad_before
from pytest_gradcheck.training.replay import Replay, site
from pytest_gradcheck.training.trace import ForwardTrace, module_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from pytest_gradcheck.training.feed import Batch
    from pytest_gradcheck.training.state import StepState

_NUMBER = re.compile(r"\b(nan|inf|infinite|infinity|non-?finite|finite)\b", re.IGNORECASE)


def raised(
    error: BaseException,
    step: int,
    batch: Batch,
    model: nn.Module,
    state: StepState,
    compute: Callable[[], object],
    spoilt: bool = False,
) -> tuple[Failure, Replay] | None:
    """What was not finite before an error, or None where the error is not the numbers'.

    It is theirs where an operation raised that read one and does not with other numbers in its place, or where its text
    speaks of a nan or an infinity.

    Args:
        error: What was raised.
        step: The step.
        batch: Its batch.
        model: With the parameters of the step.
        state: Taken before its forward.
        compute: Runs the forward again, up to where it raises.
        spoilt: Whether what the error was raised over is known not to be finite.
    """
    state.restore()
    trace = ForwardTrace()
    with contextlib.suppress(Exception), module_stack(model, trace.modules), trace:
        compute()
    if trace.first is None or not (spoilt or trace.raised or _NUMBER.search(str(error))):
        return None
    first = site(trace.first)
    here = Failure(
        step, "forward", "activation", first.value.lstrip("-"), first.module, None, first.op, first.source,
        reproduced=True,
    )  # fmt: skip
    failure = bad_before(step, batch, model, state, compute) or here
    said = f"then the step raised {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return replace(failure, evidence=(*failure.evidence, said)), Replay(math.nan, trace.first, trace.first, None, None)
