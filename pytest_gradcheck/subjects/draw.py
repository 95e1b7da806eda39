"""Drawing inputs and building layers from what a marker says, reproducibly from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pytest_gradcheck.annotated import Spec, inputs_of
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.marker import Marker, is_shape
from pytest_gradcheck.numerics.directions import generator
from pytest_gradcheck.subjects.resolve import at


def draw(marker: Marker, seed: int, subject: Any = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and keyword inputs that a marker specifies, or else the subject's annotations.

    Shapes become tensors of the default dtype, from N(0, 1) or uniform inside the marker's domain; the same seed gives
    the same numbers.

    Raises:
        UsageProblem: `inputs=` raised, or returned something that is not a tuple or a tensor; or a dimension of an
            annotation cannot be worked out.
    """
    source = generator(seed, "inputs")
    if subject is not None and not marker.has_inputs and not marker.kwargs:
        specs = inputs_of(subject, marker.init or (), marker.init_kwargs)
        return tuple(drawn_as(spec, source, marker.domain) for spec in specs), {}
    kwargs = {name: _drawn(spec, marker, source) for name, spec in (marker.kwargs or {}).items()}
    if marker.make_inputs is None:
        return tuple(_drawn(spec, marker, source) for spec in marker.inputs), kwargs
    try:
        made = marker.make_inputs()
    except Exception as error:
        raise UsageProblem(f"gradcheck: inputs= raised {type(error).__name__}: {error}{at(error)}") from error
    if isinstance(made, torch.Tensor):
        made = (made,)
    if not isinstance(made, (tuple, list)):
        raise UsageProblem(f"gradcheck: inputs= must return a tuple of inputs, not {type(made).__name__}")
    return tuple(made), kwargs


def drawn_as(spec: Spec, source: torch.Generator, domain: tuple[float, float] | None = None) -> torch.Tensor:
    """A tensor of a shape and kind: floats from N(0, 1), or uniform inside a domain; whole numbers within bounds.

    Raises:
        UsageProblem: No tensor of this shape can be made.
    """
    try:
        return _numbers(spec, source, domain)
    except (RuntimeError, TypeError, MemoryError) as error:
        said = str(error).partition("\n")[0]
        raise UsageProblem(f"no input of shape {spec.shape} can be made: {said}") from None


def _numbers(spec: Spec, source: torch.Generator, domain: tuple[float, float] | None) -> torch.Tensor:
    if spec.kind == "float" and domain is not None:
        low, high = domain
        return low + (high - low) * torch.rand(spec.shape, generator=source)
    if spec.kind == "bool":
        return torch.randint(0, 2, spec.shape, generator=source).bool()
    if spec.kind == "int":
        return torch.randint(spec.low, spec.high + 1, spec.shape, generator=source)
    return torch.randn(spec.shape, generator=source, dtype=torch.complex64 if spec.kind == "complex" else None)


def construct(target: Any, marker: Marker) -> Any:
    """The subject that a marked thing means: functions are themselves, a module is built with the marker's arguments.

    Raises:
        UsageProblem: The constructor raised.
    """
    if not (isinstance(target, type) and issubclass(target, nn.Module)):
        return target
    try:
        return target(*(marker.init or ()), **(marker.init_kwargs or {}))
    except Exception as error:
        raise UsageProblem(
            f"{target.__name__} cannot be built with init={marker.init or ()!r}: {type(error).__name__}: {error}"
        ) from error


def build(returned: Any, marker: Marker) -> Any:
    """The subject that a test returned, constructed where it is a module class and the mark has its arguments.

    Raises:
        UsageProblem: The constructor raised, or there are constructor arguments and nothing to construct.
    """
    if not marker.has_init:
        return returned
    if isinstance(returned, type) and issubclass(returned, nn.Module):
        return construct(returned, marker)
    got = f"the class {returned.__name__}" if isinstance(returned, type) else f"an object of {type(returned).__name__}"
    raise UsageProblem(f"gradcheck: init builds a class of nn.Module, but the test returned {got}: remove init")


def _drawn(spec: Any, marker: Marker, source: torch.Generator) -> Any:
    if is_shape(spec):
        return drawn_as(Spec(spec), source, marker.domain)
    if isinstance(spec, Mapping):
        return {name: _drawn(value, marker, source) for name, value in spec.items()}
    if type(spec) in (list, tuple):
        return type(spec)(_drawn(value, marker, source) for value in spec)
    return spec
