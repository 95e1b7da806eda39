"""What a run must leave as it found it: the model, and every global random generator."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping


_T = TypeVar("_T")
#: Attributes that every module has.
_TORCHS = frozenset(vars(nn.Module()))


class ModelState:
    """A copy of all that a run may change in a model: tensors, gradients, mode, and the attributes of its modules.

    Restoring keeps the identity of parameters and buffers, so that tied weights stay tied and optimizers made before
    stay right; attributes that a run added are dropped. A lazy module that was materialised after the copy cannot be
    turned back.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, dict(vars(module)), *_slots(module)) for module in model.modules()]
        self._contents = [(item, item.copy()) for module in model.modules() for item in _containers(module)]
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
        for item, content in self._contents:
            item.clear()
            (item.extend if isinstance(item, (list, deque)) else item.update)(content)
        for tensor, copy in self._tensors:
            if tensor.shape == copy.shape and tensor.device == copy.device and tensor.dtype == copy.dtype:
                tensor.copy_(copy)
            else:
                tensor.data = copy
        for parameter, grad in self._grads:
            parameter.grad = grad


def _refill(slot: MutableMapping[str, _T], kept: dict[str, _T]) -> None:
    if isinstance(slot, dict):  # nothing is added to those of a scripted module, nor taken away
        slot.clear()
        slot.update(kept)


def _containers(module: nn.Module) -> list[Any]:
    """The lists, dicts, sets and deques that a module holds in attributes of its own."""
    own = (value for name, value in vars(module).items() if name not in _TORCHS)
    return [value for value in own if type(value) in {list, dict, set, deque}]


def _slots(module: nn.Module) -> tuple[dict[str, nn.Parameter | None], dict[str, torch.Tensor | None]]:
    return dict(module._parameters), dict(module._buffers)


class RandomState:
    """The state of torch's generators on every device in use, as needed to run one step again."""

    def __init__(self) -> None:
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        self._mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def states(self) -> dict[str, torch.Tensor | list[torch.Tensor]]:
        """The states by kind of device: "cpu", and "cuda" (one a device) or "mps" where they are in use."""
        kept: dict[str, torch.Tensor | list[torch.Tensor]] = {"cpu": self._cpu}
        if self._cuda:
            kept["cuda"] = list(self._cuda)
        return kept if self._mps is None else {**kept, "mps": self._mps}

    def restore(self) -> None:
        """Set the generators back to where they stood."""
        torch.set_rng_state(self._cpu)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
        if self._mps is not None:
            torch.mps.set_rng_state(self._mps)


class StepState:
    """What a forward pass may change before the optimizer does: buffers, generators, attributes of the user's modules.

    Together with the parameters, which the failing step's optimizer has not moved, this is all a replay needs. Buffers
    that no step changes are copied once.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = list(model.modules())
        self._buffered = [module for module in modules if module._buffers]
        # torch's own layers keep no state in attributes, and there are many of them
        self._own = [module for module in modules if not type(module).__module__.startswith("torch.")]
        self._copies: dict[int, tuple[torch.Tensor, int, torch.Tensor]] = {}

    def take(self) -> None:
        """Note the state before a forward."""
        self._random = RandomState()
        self._attributes = [(module, dict(vars(module))) for module in self._own]
        self._slots = [(module, dict(module._buffers)) for module in self._buffered]
        kept = self._copies
        self._copies = {}
        for _, slots in self._slots:
            for tensor in slots.values():
                if tensor is not None:
                    known = kept.get(id(tensor))
                    fresh = known is not None and known[0] is tensor and known[1] == tensor._version
                    copy = known[2] if known and fresh else tensor.detach().clone()
                    self._copies[id(tensor)] = (tensor, tensor._version, copy)

    @property
    def random(self) -> RandomState:
        """The random generators as they were."""
        return self._random

    def buffers(self) -> Iterator[tuple[nn.Module, str, torch.Tensor]]:
        """Every buffer as it was: its module, its name there, and the numbers."""
        for module, slots in self._slots:
            for name, tensor in slots.items():
                if tensor is not None:
                    yield module, name, self._copies[id(tensor)][2]

    def floating(self) -> Iterator[tuple[nn.Module, str, torch.Tensor]]:
        """Every floating buffer as it was: its module, its name there, and the numbers."""
        return (found for found in self.buffers() if found[2].is_floating_point())

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to before the forward."""
        self._random.restore()
        for module, attributes in self._attributes:
            vars(module).clear()
            vars(module).update(attributes)
        for module, slots in self._slots:
            _refill(module._buffers, slots)
        for tensor, _, copy in self._copies.values():
            tensor.copy_(copy)


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
