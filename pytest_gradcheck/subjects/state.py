"""A module's own state: converted for the check, held still between evaluations, and put back at the end."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer

COMPLEX = {torch.float64: torch.complex128, torch.float32: torch.complex64, torch.float16: torch.complex32}


def cast(tensor: torch.Tensor, dtype: torch.dtype, device: torch.device | None) -> torch.Tensor:
    """The tensor in the check's precision: `dtype`, its complex partner, or unchanged where it holds integers."""
    if tensor.is_floating_point():
        return tensor.to(device=device, dtype=dtype)
    if tensor.is_complex():
        return tensor.to(device=device, dtype=COMPLEX.get(dtype, torch.complex64))
    return tensor.to(device=device)


def copied(module: nn.Module) -> nn.Module | None:
    """A deep copy without gradients, or None where the module does not allow one."""
    if any(parameter._backward_hooks for parameter in module.parameters()):
        return None  # deepcopy drops a tensor's hooks, and with them part of its gradient
    # torch cannot copy a lazy module's buffers; they hold nothing but where and of what kind they will be.
    blank: Any = UninitializedBuffer  # whose stub is that of a tensor
    lazy = {id(own): blank(False, own.device, own.dtype) for own in module.buffers() if type(own) is blank}
    try:
        twin = copy.deepcopy(module, lazy)
    except Exception:  # noqa: BLE001  deepcopy runs the user's own __deepcopy__ and __reduce__, which may raise anything
        return None
    for own in twin.parameters():
        if not own.is_leaf:  # the copy of a scripted module's parameter is computed from the original
            own.detach_().requires_grad_()
    twin.zero_grad(set_to_none=True)
    return twin


class Held:
    """The modules and loose tensors of a subject: cast, kept still, and given back as they were.

    Args:
        modules: The roots; their submodules are held too.
        loose: Tensors outside of any module that the subject reaches.
    """

    def __init__(self, modules: list[nn.Module], loose: list[torch.Tensor]) -> None:
        seen: dict[int, nn.Module] = {id(part): part for root in modules for part in root.modules()}
        self._parts = list(seen.values())
        self._attributes = [(part, dict(part.__dict__), dict(part._buffers)) for part in self._parts]
        every = [tensor for part in self._parts for tensor in _own_tensors(part)] + loose
        unique = {id(tensor): tensor for tensor in every}
        self._found = [(tensor, tensor.data, tensor.grad, tensor.requires_grad) for tensor in unique.values()]
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._contents = self._mutable()
        self._at_first = self._attributes, self._contents

    def cast(self, dtype: torch.dtype, device: torch.device | None) -> None:
        """Gives every tensor new storage in the check's precision, in place: ties and identities stay."""
        for tensor, data, _, _ in self._found:
            fresh = cast(data, dtype, device)
            tensor.data = fresh.clone() if fresh is data else fresh
            tensor.grad = None

    def hold(self, moved: set[int]) -> None:
        """Notes the buffers and attributes to restore before every evaluation; tensors in `moved` are left alone."""
        self._attributes = [(part, dict(part.__dict__), dict(part._buffers)) for part in self._parts]
        self._contents = self._mutable()
        self._buffers = [
            (tensor, tensor.detach().clone())
            for tensor, *_ in self._found
            if id(tensor) not in moved and not isinstance(tensor, nn.Parameter)
        ]

    @property
    def written(self) -> list[torch.Tensor]:
        """The floating buffers of modules: what a forward may write into."""
        return [buffer for part in self._parts for buffer in part._buffers.values() if _floating(buffer)]

    def found(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """What this very tensor held before it was cast, which is kept for giving it back."""
        return next((data for own, data, _, _ in self._found if own is tensor), None)

    def owns(self, tensor: torch.Tensor) -> bool:
        """Whether this very tensor is a parameter or buffer of a module, so that another can stand in for it."""
        return any(
            own is tensor for part in self._parts for own in (*part._parameters.values(), *part._buffers.values())
        )

    @contextmanager
    def swapped(self, instead: Mapping[int, torch.Tensor]) -> Iterator[None]:
        """Other tensors in the place of parameters and buffers, under all of their names, for the length of a block."""
        slots = [
            (owned, key, tensor)
            for part in (self._parts if instead else ())
            for owned in _tables(part)
            for key, tensor in (enumerate(owned) if isinstance(owned, list) else owned.items())
            if id(tensor) in instead
        ]
        try:
            for owned, key, tensor in slots:
                owned[key] = instead[id(tensor)]
            yield
        finally:
            for owned, key, tensor in slots:
                owned[key] = tensor

    def restore(self) -> None:
        """Undoes what a forward did to buffers and attributes: running statistics never move."""
        for part, attributes, buffers in self._attributes:
            now = part.__dict__
            if len(now) != len(attributes) or any(now.get(key) is not value for key, value in attributes.items()):
                now.clear()
                now.update(attributes)
            for key, buffer in buffers.items():
                if part._buffers.get(key) is not buffer:
                    part._buffers[key] = buffer
        for refill in self._contents:
            refill()
        with torch.no_grad():
            for tensor, value in self._buffers:
                tensor.detach().copy_(value)

    def _mutable(self) -> list[Callable[[], object]]:
        """What sets lists, dicts, sets and random generators among the attributes back to what they hold now."""
        refills: list[Callable[[], object]] = []
        for part in self._parts:
            for key, value in part.__dict__.items():
                if key.startswith("_") and key in _MODULE:
                    continue
                if type(value) in (list, dict, set):
                    refills.append(partial(_refill, value, copy.copy(value)))
                elif isinstance(value, torch.Generator):
                    refills.append(partial(value.set_state, value.get_state()))
        return refills

    def release(self) -> None:
        """Puts every tensor, gradient, flag and attribute back as it was found, bit for bit.

        The check worked on storage of its own (see `cast`), so the found storage only has to be put back in its place.
        """
        # What was set for the length of the check, after the modules were lent, is not part of what was found.
        self._attributes, self._contents = self._at_first
        self.restore()
        for tensor, data, grad, requires_grad in self._found:
            tensor.data = data
            tensor.requires_grad_(requires_grad)
            tensor.grad = grad


#: Attributes that belong to nn.Module itself.
_MODULE = frozenset(vars(nn.Module()))


def _refill(container: Any, content: Any) -> None:
    if isinstance(container, list):
        container[:] = content
    else:
        container.clear()
        container.update(content)


def _floating(tensor: torch.Tensor | None) -> TypeGuard[torch.Tensor]:
    return tensor is not None and tensor.is_floating_point()


def _tables(part: nn.Module) -> list[Any]:
    """Where one module keeps tensors: recurrent layers hold their parameters once more, in a list of their own."""
    further = [value for value in part.__dict__.values() if type(value) in (list, dict)]
    return [part._parameters, part._buffers, *(held for held in further if held is not part._modules)]


def _own_tensors(part: nn.Module) -> list[torch.Tensor]:
    """Parameters, buffers and plain tensor attributes of one module (not of its children)."""
    owned: list[Any] = [*part._parameters.values(), *part._buffers.values(), *part.__dict__.values()]
    return [tensor for tensor in owned if isinstance(tensor, torch.Tensor) and tensor.is_leaf]
