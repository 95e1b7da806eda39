"""The arguments of a smoke run, checked once and kept together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.launch import own_device
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training.budget import GRACE
from pytest_gradcheck.training.distributed import Alone
from pytest_gradcheck.training.optimizers import Rate, checked_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gradcheck.training.objective import Loss
    from pytest_gradcheck.training.reader import Reader

AMP_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Plan:
    """All that `train_smoke` was asked, the same for every seed; the fields are its arguments.

    But for `reader`, which makes what reads numbers from the device (None takes what suits the device), `grace`,
    the seconds of watching that are always allowed, and `team`, the ranks that train together.
    """

    model: nn.Module | Callable[[], nn.Module]
    batches: Any
    loss: Loss | None
    optimizer: Any
    lr: Rate | None
    steps: int
    device: torch.device | None
    clip: float | None
    amp: torch.dtype | None
    overfit: bool
    keep: bool
    max_overhead: float | None = 0.02
    limits: Limits = field(default_factory=Limits)
    bundle: Path | None = None
    reader: Callable[[], Reader] | None = None
    grace: float = GRACE
    team: Alone = field(default_factory=Alone)

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module) and (isinstance(self.model, torch.Tensor) or not callable(self.model)):
            raise UsageProblem(
                f"model is a {type(self.model).__name__}, but it must be an nn.Module or a factory of one"
            )
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise UsageProblem(f"steps is {self.steps!r}, but it must be a whole number of at least 1")
        if self.loss is not None and not callable(self.loss):
            raise UsageProblem(
                f"loss is a {type(self.loss).__name__}, but it must be a callable of outputs and targets"
            )
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise UsageProblem(f"clip is {self.clip!r}, but it must be a positive gradient norm")
        if not isinstance(self.limits, Limits):
            raise UsageProblem(
                f"limits is a {type(self.limits).__name__}, but it must be a Limits, as in Limits(dead=0.8)"
            )
        if self.max_overhead is not None and not 0 < self.max_overhead < float("inf"):
            raise UsageProblem(
                f"max_overhead is {self.max_overhead!r}, but it must be a positive share, such as 0.02, or None for no "
                "bound"
            )
        if self.lr is not None and not callable(self.lr):
            checked_rate(self.lr)

    def build(self) -> nn.Module:
        """The model, made by the factory where one was given, not yet on the device asked for.

        Raises:
            UsageProblem: The factory made something else, or the model has nothing to train.
        """
        made = self.model if isinstance(self.model, nn.Module) else self.model()
        if not isinstance(made, nn.Module):
            raise UsageProblem(f"the model factory returned a {type(made).__name__}, not an nn.Module")
        parameters = list(made.parameters())
        if not any(parameter.requires_grad for parameter in parameters):
            frozen = f": all {len(parameters)} parameters are frozen" if parameters else ""
            raise UsageProblem(f"the model {type(made).__name__} has no trainable parameters{frozen}")
        if any(parameter.is_meta for parameter in parameters):
            raise UsageProblem(
                f"the model {type(made).__name__} is on the meta device, which holds no numbers to train"
            )
        return made


def unrepeatable(plan: Plan) -> str | None:
    """Why a plan cannot be run a second time, in words; None where it can."""
    if iter(plan.batches) is plan.batches:
        return "a generator cannot be read again"
    if plan.keep and isinstance(plan.model, nn.Module):
        return "keep=True left the model as it failed"
    return None


def device_of(device: str | torch.device | None) -> torch.device | None:
    """The device asked for.

    Raises:
        UsageProblem: torch does not know it, or this machine lacks it.
    """
    if device is None:
        return None
    try:
        name = own_device("cuda", torch.cuda.device_count()) if device == "cuda" else device
        where = torch.empty(0, device=name).device  # with its index, as the tensors there will name it
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageProblem(f"device {str(device)!r} cannot be used here: {reason}") from error
    if where.type == "meta":
        raise UsageProblem("device 'meta' cannot be used here: it holds no numbers to train")
    return where


def amp_dtype(amp: str | torch.dtype | None) -> torch.dtype | None:
    """The reduced precision asked for.

    Raises:
        UsageProblem: It is neither float16 nor bfloat16.
    """
    dtype = AMP_DTYPES.get(amp) if isinstance(amp, str) else amp
    if amp is not None and dtype not in AMP_DTYPES.values():
        raise UsageProblem(f'amp is {amp!r}, but it must be None, "float16" or "bfloat16"')
    return dtype
