"""`watch`: the sentinel around anybody's training loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytest_gradcheck.errors import TrainingFailure, UsageProblem
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.training.hooks import Hooks
from pytest_gradcheck.training.observer import Observer
from pytest_gradcheck.training.reader import LateReader, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def watch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    *,
    scaler: torch.amp.GradScaler | None = None,
    stop: bool = True,
    max_overhead: float | None = 0.02,
    limits: Limits | None = None,
    late: bool | None = None,
) -> Iterator[Observer]:
    """Watch the optimizer's steps of a training loop, and stop at the first nan or infinity.

    Before each step of an optimizer the loss and all gradients are read at once. The loss is what `backward` was called
    on. At the first non-finite number the step's forward calls are run again, to name the operation, the module and the
    source line; then the loop is stopped before the optimizer moves anything. Nothing in the loop has to change:
    accumulation, several optimizers, closures (LBFGS), a Lightning `Trainer` and a Hugging Face `Trainer` are seen
    through torch's own hooks.

    Args:
        model: The model that is trained, or a module around it, such as a LightningModule.
        optimizer: The optimizer, or several. None watches every one that moves a parameter of the model, also those
            that a framework makes later.
        scaler: The loop's GradScaler. It makes losses what they were before scaling, and skipped steps known; eight of
            them in a row are a failure.
        stop: Whether a failure raises; otherwise it is kept in `failure`, and watching ends there.
        max_overhead: Share of the loop's time that watching may take, as in `train_smoke`; None reads everything.
        limits: Where the health rules draw the line; None is `Limits()`.
        late: Whether numbers are read one step later, so that no step waits for the device. Then a failing step cannot
            be run again. None does so on CUDA.

    Yields:
        The observer: `loss`, `gradient_norm`, `failure`, `health`, `report()`; its `str` is the report's text.

    Raises:
        TrainingFailure: A number was not finite, and `stop` is set; also where the loop raised over such a number.
        UsageProblem: The model has nothing to train, or the optimizer moves none of it.
    """
    if not isinstance(model, nn.Module) or not any(item.requires_grad for item in model.parameters()):
        raise UsageProblem(
            f"{type(model).__name__} is no nn.Module with trainable parameters: there is nothing to watch"
        )
    given = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
    own = set(map(id, model.parameters()))
    for each in given or ():
        if not any(id(item) in own for group in each.param_groups for item in group["params"]):
            raise UsageProblem(f"the optimizer {type(each).__name__} holds none of the model's parameters")
    reader = None if late is None else LateReader() if late else Reader()
    observer = Observer(
        model, scaler, Limits() if limits is None else limits, max_overhead, reader, stop, tuple(given or ())
    )
    with Hooks(observer, model, given, scaler):
        try:
            yield observer
        except (TrainingFailure, UsageProblem):
            raise
        except Exception as error:
            observer.broke(error)
            raise
        observer.finish()
