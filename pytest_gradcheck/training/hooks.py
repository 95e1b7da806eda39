"""Where `watch` takes hold of somebody's loop: torch's hooks on optimizers, `Tensor.backward`, and the GradScaler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from pytest_gradcheck.training.observer import Observer


class Hooks:
    """A context in which an observer sees every backward and every step of some optimizers.

    Args:
        observer: Who sees them.
        model: The model.
        optimizers: The optimizers; None for every one that moves a parameter of the model.
        scaler: The loop's GradScaler, or None.
    """

    def __init__(
        self,
        observer: Observer,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer] | None,
        scaler: torch.amp.GradScaler | None,
    ) -> None:
        self._observer, self._scaler = observer, scaler
        self._chosen = None if optimizers is None else {id(each) for each in optimizers}
        self._parameters = set(map(id, model.parameters()))
        self._mode = _BackwardMode(observer)

    def __enter__(self) -> None:
        # a global hook, because frameworks make and wrap their optimizers after this
        self._handle = register_optimizer_step_pre_hook(self._before_step)
        if self._scaler is not None:
            _wrap(self._scaler, self._observer)
        self._mode.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mode.__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        self._handle.remove()
        if self._scaler is not None:
            del self._scaler.__dict__["step"]
        self._observer.close()

    def _before_step(
        self, optimizer: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not self._moves(optimizer):
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")  # the first argument is the optimizer
        if closure is None:
            self._observer.before_step(optimizer)
            return None
        watched = self._watched(closure, optimizer)
        return ((args[0], watched, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": watched})

    def _watched(self, closure: Callable[[], Any], optimizer: torch.optim.Optimizer) -> Callable[[], Any]:
        """A closure makes the gradients, once or, under LBFGS, many times a step: each time they are looked at."""

        def call() -> Any:
            loss = closure()
            self._observer.before_step(optimizer)
            return loss

        return call

    def _moves(self, optimizer: torch.optim.Optimizer) -> bool:
        if self._chosen is not None:
            return id(optimizer) in self._chosen
        return any(id(item) in self._parameters for group in optimizer.param_groups for item in group["params"])


class _BackwardMode(TorchFunctionMode):
    """Sees what `Tensor.backward` is called on."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self._observer = observer

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.backward:
            self._observer.saw_backward(args[0])
        return func(*args, **(kwargs or {}))


def _wrap(scaler: torch.amp.GradScaler, observer: Observer) -> None:
    """Let the observer know of the steps that this scaler skips: no hook of the optimizer fires then."""
    step = scaler.step

    def watched(optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> float | None:
        before = observer.steps
        result = step(optimizer, *args, **kwargs)
        if observer.steps == before:
            observer.skipped_step(optimizer)
        return result

    vars(scaler)["step"] = watched
