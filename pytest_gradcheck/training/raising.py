"""A forward or a loss that raises because of a number that was not finite by then: the number is what went wrong."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training.blame import bad_before
from pytest_gradcheck.training.replay import Replay, site
from pytest_gradcheck.training.trace import ForwardTrace, module_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from pytest_gradcheck.errors import UsageProblem
    from pytest_gradcheck.training.feed import Batch
    from pytest_gradcheck.training.state import StepState


def raised(
    error: UsageProblem,
    step: int,
    batch: Batch,
    model: nn.Module,
    state: StepState,
    compute: Callable[[], torch.Tensor],
) -> tuple[Failure, Replay] | None:
    """What was not finite before an error, or None where everything was: then the error is not the numbers'.

    Args:
        error: What was raised, as it is told; its cause is the error itself.
        step: The step.
        batch: Its batch.
        model: With the parameters of the step.
        state: Taken before its forward.
        compute: Runs the forward again, up to where it raises.
    """
    state.restore()
    trace = ForwardTrace()
    with contextlib.suppress(type(error)), module_stack(model, trace.modules), trace:
        compute()
    if trace.first is None:
        return None
    first, cause = site(trace.first), error.__cause__
    here = Failure(
        step, "forward", "activation", first.value.lstrip("-"), first.module, None, first.op, first.source,
        reproduced=True,
    )  # fmt: skip
    failure = bad_before(step, batch, model, state) or here
    said = f"then the step raised {type(cause).__name__}: {cause}"
    return replace(failure, evidence=(*failure.evidence, said)), Replay(math.nan, trace.first, trace.first, None, None)
