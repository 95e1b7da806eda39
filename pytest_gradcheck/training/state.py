"""What a run must leave as it found it: the model, and every global random generator."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping


_T = TypeVar("_T")
#: Attributes that every module has.
_TORCHS = frozenset(vars(nn.Module()))
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
#: Containers whose elements are put back; others, such as a subclass of the user's, may not bear it.
_REFILLED = frozenset({list, deque, set, *_MAPPINGS})


class ModelState:
    """A copy of all that a run may change in a model: tensors, gradients, mode, and the attributes of its modules.

    Restoring keeps the identity of parameters and buffers, so that tied weights stay tied and optimizers made before
    stay right; attributes that a run added are dropped. A lazy module that was materialised after the copy cannot be
    turned back.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [(module, dict(vars(module)), *_slots(module)) for module in model.modules()]
        self._contents = Contents(module for module, *_ in self._modules)
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
        self._contents.restore()
        for tensor, copy in self._tensors:
            if tensor.shape == copy.shape and tensor.device == copy.device and tensor.dtype == copy.dtype:
                _write(tensor, copy)
            else:
                tensor.data = copy
        for parameter, grad in self._grads:
            parameter.grad = grad


def _refill(slot: MutableMapping[str, _T], kept: dict[str, _T]) -> None:
    if isinstance(slot, dict):  # nothing is added to those of a scripted module, nor taken away
        slot.clear()
        slot.update(kept)


def _write(tensor: torch.Tensor, copy: torch.Tensor) -> None:
    """Put numbers back where they have changed; of an expanded tensor the place that its elements share.

    A tensor that is as it was is not written to, and one that is gets no new version: a graph that saved it before may
    still be sent backward.
    """
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        tensor.copy_(copy)
    elif not torch.equal(_bits(tensor), _bits(copy)):
        target = tensor.data
        for axis, stride in enumerate(tensor.stride()):
            if stride == 0:
                target, copy = target[(slice(None),) * axis + (slice(1),)], copy[(slice(None),) * axis + (slice(1),)]
        target.copy_(copy)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as whole numbers, which are equal where they are nan, and differ where zeros do by their sign."""
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    return real.view(_WHOLE[real.itemsize]) if real.is_floating_point() else real


class Contents:
    """The elements of the containers that modules hold in attributes of their own, and of those in these."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._kept: dict[int, tuple[Any, Any]] = {}
        todo = [value for module in modules for name, value in vars(module).items() if name not in _TORCHS]
        while todo:
            item = todo.pop()
            kind = type(item)
            if kind in _REFILLED and id(item) not in self._kept:
                self._kept[id(item)] = item, item.copy()
                todo += item.values() if kind in _MAPPINGS else item
            elif kind is tuple:
                todo += item

    def restore(self) -> None:
        """Give every container the elements that it had."""
        for item, content in self._kept.values():
            item.clear()
            (item.extend if isinstance(item, (list, deque)) else item.update)(content)


class HostRandom:
    """The state of Python's `random`, and of numpy's generator where numpy is loaded."""

    def __init__(self) -> None:
        self._numpy = sys.modules.get("numpy")
        self._python = random.getstate()
        self._array = self._numpy.random.get_state() if self._numpy else None

    def restore(self) -> None:
        """Set the generators back to where they stood."""
        random.setstate(self._python)
        if self._numpy:
            self._numpy.random.set_state(self._array)


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

    Args:
        model: The model.
        whole: Whether the elements of containers, Python's `random` and numpy's generator are noted too: what is run
            beside somebody's loop must not move them, but noting them in every step costs too much.
    """

    def __init__(self, model: nn.Module, whole: bool = False) -> None:
        self._whole = whole
        modules = list(model.modules())
        self._buffered = [module for module in modules if module._buffers]
        # torch's own layers keep no state in attributes, and there are many of them
        self._own = [module for module in modules if not type(module).__module__.startswith("torch.")]
        self._copies: dict[int, tuple[torch.Tensor, int, torch.Tensor]] = {}

    def take(self) -> None:
        """Note the state before a forward."""
        self._random = RandomState()
        self._host = (HostRandom(), Contents(self._own)) if self._whole else ()
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
            _write(tensor, copy)
        for each in self._host:
            each.restore()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch, numpy (where it is loaded) and Python's `random`; afterwards all are as they were before."""
    numpy = sys.modules.get("numpy")
    kept, host = RandomState(), HostRandom()
    torch.manual_seed(seed)
    random.seed(seed)
    if numpy:
        numpy.random.seed(seed % 2**32)
    try:
        yield
    finally:
        kept.restore()
        host.restore()
