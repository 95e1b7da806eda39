"""The gradcheck marker's arguments: read, validated and kept as plain data; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.settings import NAMES, suggestion, validate
from pytest_gradcheck.signatures import signature

OWN = ("init", "init_kwargs", "inputs", "kwargs", "domain", "wrt")


@dataclass(frozen=True)
class Marker:
    """What one `gradcheck` mark asks for.

    Attributes:
        inputs: Input specifications: a tuple of ints is a shape, a tensor is itself, containers nest.
        make_inputs: A callable that returns the inputs, or None.
        init: Positional arguments of a module class's constructor, or None where the mark has none.
        init_kwargs: Its keyword arguments.
        kwargs: Keyword inputs of the forward, specified like `inputs`.
        domain: Bounds to draw inside of, or None for N(0, 1).
        wrt: Names of the tensors to check, or None.
        options: Options of the check that the mark sets.
    """

    inputs: tuple[Any, ...] = ()
    make_inputs: Callable[[], Any] | None = None
    init: tuple[Any, ...] | None = None
    init_kwargs: Mapping[str, Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    domain: tuple[float, float] | None = None
    wrt: Sequence[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_inputs(self) -> bool:
        """Whether the mark says what to call the subject with."""
        return bool(self.inputs) or self.make_inputs is not None

    @property
    def has_init(self) -> bool:
        """Whether the mark says how to construct the subject."""
        return self.init is not None or self.init_kwargs is not None

    def label(self) -> str:
        """A short id for the test's name: the shapes, as in 8x16."""
        return "-".join(_label(spec) for spec in self.inputs) or "gradcheck"


def read(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Marker:
    """The marker that `gradcheck(*args, **kwargs)` means.

    Raises:
        UsageProblem: An argument is misspelt or of the wrong kind; the message names it.
    """
    for name in kwargs:
        if name not in OWN and name not in NAMES:
            near = suggestion(name, (*OWN, *NAMES))
            raise UsageProblem(f"gradcheck has no argument {name!r}{near}; it takes {', '.join((*OWN, *NAMES))}")
    own = {name: kwargs[name] for name in OWN if kwargs.get(name) is not None}
    make_inputs = own.pop("inputs", None)
    if make_inputs is not None and not callable(make_inputs):
        raise UsageProblem(
            "gradcheck: inputs= takes a callable that returns the inputs; give shapes and tensors by position"
        )
    if make_inputs is not None and args:
        raise UsageProblem("gradcheck: give the inputs either by position or by inputs=, not both")
    if "init" in own and not isinstance(own["init"], (tuple, list)):
        raise UsageProblem(f"gradcheck: init= takes a tuple of constructor arguments, such as init=({own['init']!r},)")
    for name in ("init_kwargs", "kwargs"):
        if name in own and not isinstance(own[name], Mapping):
            raise UsageProblem(f"gradcheck: {name}= takes a dict, not {own[name]!r}")
    for spec in args:
        if isinstance(spec, (int, float)) and not isinstance(spec, bool):
            raise UsageProblem(
                f"gradcheck: {spec!r} is not an input; a shape is a tuple, such as ({spec},); where {spec!r} itself is "
                f"an argument, give all of them by inputs=lambda: (...)"
            )
    _check_shapes([*args, own.get("kwargs", {})])
    options = {name: value for name, value in kwargs.items() if name in NAMES}
    return Marker(
        inputs=tuple(args),
        make_inputs=make_inputs,
        init=tuple(own["init"]) if "init" in own else None,
        init_kwargs=own.get("init_kwargs"),
        kwargs=own.get("kwargs"),
        domain=_domain(own.get("domain")),
        wrt=_names(own.get("wrt")),
        options=validate(options, lambda name: f"gradcheck: {name}"),
    )


def is_shape(spec: Any) -> bool:
    """Whether an input specification is a shape: a plain tuple of ints."""
    return type(spec) is tuple and all(isinstance(size, int) and not isinstance(size, bool) for size in spec)


def accepts_no_init(marker: Marker, target: Any, is_module: bool) -> None:
    """Refuses constructor arguments on what is not constructed.

    Raises:
        UsageProblem: `init` or `init_kwargs` on an `autograd.Function` or a plain function.
    """
    if marker.has_init and not is_module:
        kind = "an autograd.Function" if isinstance(target, type) else "a function"
        raise UsageProblem(f"gradcheck: init builds an nn.Module, but {target.__name__} is {kind}: remove it")


def check_call(marker: Marker, function: Any) -> None:
    """Refuses a mark whose inputs a plain function cannot take.

    Raises:
        UsageProblem: The inputs do not fit the signature.
    """
    if marker.make_inputs is not None:
        return
    taken = signature(function)
    try:
        taken.bind(*marker.inputs, **(marker.kwargs or {}))
    except TypeError as error:
        raise UsageProblem(
            f"gradcheck: {function.__name__}{taken} is no test by its name, so it is itself what this mark checks; "
            f"it cannot be called with the mark's {len(marker.inputs)} inputs: {error}"
        ) from None


def check_constructor(marker: Marker, target: Any) -> None:
    """Refuses constructor arguments that a module class's `__init__` cannot take.

    Raises:
        UsageProblem: The arguments do not fit the signature.
    """
    try:
        taken = signature(target)
    except (TypeError, ValueError):
        return
    try:
        taken.bind(*(marker.init or ()), **(marker.init_kwargs or {}))
    except TypeError as error:
        raise UsageProblem(
            f"gradcheck: {target.__name__}{taken} cannot be built from init={marker.init or ()!r}, "
            f"init_kwargs={dict(marker.init_kwargs or {})!r}: {error}"
        ) from None


def _check_shapes(spec: Any) -> None:
    if is_shape(spec):
        if any(size < 0 for size in spec):
            raise UsageProblem(f"gradcheck: the shape {spec} has a negative size")
    elif isinstance(spec, Mapping) or type(spec) in (list, tuple):
        for value in spec.values() if isinstance(spec, Mapping) else spec:
            _check_shapes(value)


def _domain(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        low, high = (float(bound) for bound in value)
    except (TypeError, ValueError):
        raise UsageProblem(f"gradcheck: domain= takes two numbers (low, high), not {value!r}") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageProblem(f"gradcheck: domain= takes two finite numbers, to draw evenly between them, not {value!r}")
    if not low < high:
        raise UsageProblem(f"gradcheck: domain= must rise, but {low:g} is not below {high:g}")
    return low, high


def _names(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageProblem(f"gradcheck: wrt= takes a list of tensor names, such as ['input0', 'weight'], not {value!r}")
    return names


def _label(spec: Any) -> str:
    if is_shape(spec):
        return "x".join(map(str, spec)) or "scalar"
    shape = getattr(spec, "shape", None)
    return "x".join(map(str, shape)) or "scalar" if shape is not None else type(spec).__name__
