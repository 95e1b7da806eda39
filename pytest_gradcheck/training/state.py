"""What a run must leave as it found it: the model, and every global random generator."""

from __future__ import annotations

import contextlib
import random
import sys
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping


_T = TypeVar("_T")


class ModelState:
    """A copy of all that a run may change in a model: tensors, gradients, mode, and the attributes of its modules.

    Restoring keeps the identity of parameters and buffers, so that tied weights stay tied and optimizers made before
    stay right; attributes that a run added are dropped. A lazy module that was materialised after the copy cannot be
    turned back.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, dict(vars(module)), *_slots(module)) for module in model.modules()]
        tensors = {id(item): item for *_, own, buffers in self._modules for item in (*own.values(), *buffers.values())}
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in tensors.values() if tensor is not None]
        self._grads = [(parameter, parameter.grad) for parameter in model.parameters()]

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, bit for bit."""
        for module, attributes, parameters, buffers in self._modules:
            vars(module).clear()
            vars(module).update(attributes)
            _refill(module._parameters, parameters)
            _refill(module._buffers, buffers)
        for tensor, copy in self._tensors:
            if tensor.shape == copy.shape and tensor.device == copy.device and tensor.dtype == copy.dtype:
                tensor.copy_(copy)
            else:
                tensor.data = copy
        for parameter, grad in self._grads:
            parameter.grad = grad


def _refill(slot: MutableMapping[str, _T], kept: dict[str, _T]) -> None:
    slot.clear()
    slot.update(kept)


def _slots(module: nn.Module) -> tuple[dict[str, nn.Parameter | None], dict[str, torch.Tensor | None]]:
    return dict(module._parameters), dict(module._buffers)


class RandomState:
    """The state of torch's generators on every device in use, as needed to run one step again."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        self._mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def restore(self) -> None:
        """Set the generators back to where they stood."""
        torch.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
        if self._mps is not None:
            torch.mps.set_rng_state(self._mps)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch, numpy (where it is loaded) and Python's `random`; afterwards all are as they were before."""
    numpy = sys.modules.get("numpy")
    kept, kept_python = RandomState(), random.getstate()
    kept_numpy = numpy.random.get_state() if numpy else None
    torch.manual_seed(seed)
    random.seed(seed)
    if numpy:
        numpy.random.seed(seed % 2**32)
    try:
        yield
    finally:
        kept.restore()
        random.setstate(kept_python)
        if numpy:
            numpy.random.set_state(kept_numpy)
