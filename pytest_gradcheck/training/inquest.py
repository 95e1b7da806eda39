"""From a reading that is not finite to a failure with its operation, its line and its cause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gradcheck.training.replay import Replay, Root, replay, sharpen

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from pytest_gradcheck.model.training import Failure
    from pytest_gradcheck.training.state import StepState


def inquire(
    failure: Failure, loss: float, model: nn.Module, state: StepState, compute: Callable[[], list[Root]]
) -> tuple[Failure, Replay | None]:
    """The failure with what a replay of its step shows; the replay is None where none was possible or needed.

    Args:
        failure: As the sentinel saw it.
        loss: The loss of the failing step.
        model: With the parameters of the failing step.
        state: Taken before its forward.
        compute: Runs the forward again and gives what backward starts from.
    """
    if failure.quantity not in {"loss", "gradient"}:
        return failure, None
    try:
        seen = replay(model, state, compute)
    except Exception as error:  # noqa: BLE001 - the run has failed already: a replay that breaks must not hide how
        said = f"running the step again raised {type(error).__name__}: {error}"
        return replace(failure, evidence=(*failure.evidence, said)), None
    return sharpen(failure, seen, loss), seen
