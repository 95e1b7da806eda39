"""Inputs that cannot be checked: what is wrong with them, and what to give instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.subjects import tree


def refuse_meta(inputs: Sequence[Any], kwargs: Mapping[str, Any], owned: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuses tensors without numbers.

    Raises:
        UsageProblem: An input or a parameter lies on the meta device.
    """
    for name, tensor in _named(inputs, kwargs):
        if tensor.is_meta:
            raise UsageProblem(
                f"{name} lies on the meta device, which holds shapes and no numbers: give a tensor with values, such "
                f"as torch.randn({tuple(tensor.shape)})"
            )
    for name, tensor in owned:
        if tensor.is_meta:
            raise UsageProblem(
                f"{name} lies on the meta device, which holds shapes and no numbers: build the module on a real "
                f"device, or give it one by module.to_empty(device='cpu') and initialise it"
            )


def nothing(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The message where no input and no parameter can be differentiated."""
    got = [f"{name}: {_short(tensor)}" for name, tensor in _named(inputs, kwargs)]
    missing = (
        "" if given(inputs, kwargs) else "; give the inputs, as tensors or, in a mark, as shapes: gradcheck((8, 16))"
    )
    hints = arrays(inputs, kwargs) + _packed(inputs, kwargs) + _no_shape(inputs, kwargs) + missing
    return (
        f"there is nothing to check: no input is a floating or complex tensor (got {', '.join(got) or 'no tensors'}) "
        f"and no parameter requires a gradient{hints}"
    )


def arrays(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A hint, to end a message with, where an input is a numpy array; else empty."""
    found = [name for name, value in given(inputs, kwargs).items() if type(value).__module__ == "numpy"]
    return f"; {found[0]} is a numpy array: pass torch.from_numpy({found[0]}) instead" if found else ""


def _no_shape(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A hint, to end a message with, where an input is a shape, or nearly one, instead of a tensor; else empty."""
    for name, value in given(inputs, kwargs).items():
        if type(value) is not tuple or not value or not all(isinstance(size, (int, float)) for size in value):
            continue
        if all(type(size) is int for size in value):
            return f"; {name} is the shape {value}, and only marks draw tensors of a shape: pass torch.randn{value}"
        return f"; {name} is {value}, which is no shape: the sizes of a shape are whole numbers"
    return ""


def _packed(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A hint, to end a message with, where an input holds numbers that cannot be moved one by one; else empty."""
    packed = [name for name, tensor in _named(inputs, kwargs) if tensor.is_nested or tensor.layout is not torch.strided]
    if not packed:
        return ""
    return (
        f"; {packed[0]} is sparse or nested, whose numbers are not moved one by one: check a function that makes it "
        f"of dense tensors, such as lambda dense: layer(dense.to_sparse())"
    )


def given(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by the names that the report gives them."""
    return {**{f"input{index}": value for index, value in enumerate(inputs)}, **kwargs}


def _named(inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterable[tuple[str, torch.Tensor]]:
    for name, value in given(inputs, kwargs).items():
        yield from tree.tensors(value, name)


def _short(tensor: torch.Tensor) -> str:
    if tensor.is_nested:
        return "a nested tensor"  # which has no shape
    kind = tensor.dtype if tensor.layout is torch.strided else tensor.layout
    return f"{str(kind).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
