"""What `train` can train: a model, its class, or a function that returns one. Anything else is told before a step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, get_origin, get_type_hints

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.marker import Marker

#: What no nn.Module can be. Of any other class the object may be one as well: a mixin, a protocol, a base class.
NEVER = (type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, type)
TAKES = "train takes an nn.Module, a class of one, or a function that returns one"


def refuse(name: str, target: Any) -> None:
    """Refuses what can be seen not to be a model, nor to make one, without calling it.

    Args:
        name: What the command line calls it.
        target: The object itself.

    Raises:
        UsageProblem: It is none of what can be trained.
    """
    import torch

    if isinstance(target, torch.nn.Module) or (isinstance(target, type) and issubclass(target, torch.nn.Module)):
        return
    if isinstance(target, type):
        kind = "an autograd.Function" if issubclass(target, torch.autograd.Function) else "a class"
        raise UsageProblem(f"{name} is {kind}, but no nn.Module: {TAKES}")
    if not callable(target):
        raise UsageProblem(f"{name} is {_a(target)}: {TAKES}")
    called = target.func if isinstance(target, functools.partial) else target
    if inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        kind = "a generator" if inspect.isgeneratorfunction(called) else "an async function"
        raise UsageProblem(f"{name} is {kind}: {TAKES}")
    promised = _promised(called)
    if isinstance(promised, type) and (promised in NEVER or issubclass(promised, torch.Tensor)):
        said = "None" if promised is type(None) else promised.__name__
        raise UsageProblem(f"{name} returns {said}, by its annotation: {TAKES}")


def made(name: str, maker: Callable[..., Any], marker: Marker) -> Any:
    """The model that a function returns.

    Raises:
        UsageProblem: The function raised, or returned something else.
    """
    import torch

    try:
        found = maker(*(marker.init or ()), **(marker.init_kwargs or {}))
    except (Exception, SystemExit) as error:
        raise UsageProblem(
            f"{name} raised {type(error).__name__}: {error}; it is called for the model, with the arguments of --init"
        ) from error
    if isinstance(found, torch.nn.Module):
        return found
    holds = isinstance(found, (tuple, list)) and any(isinstance(part, torch.nn.Module) for part in found)
    hint = "; return the model alone" if holds else f"; return {found.__name__}(...)" if isinstance(found, type) else ""
    raise UsageProblem(f"{name} returned {_a(found)}: {TAKES}{hint}")


def _promised(function: Callable[..., Any]) -> Any:
    """What a function is annotated to return, without its parameters; None where it says nothing."""
    try:
        hint = get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001  annotations are evaluated, and may name what exists for type checkers only
        return None
    return get_origin(hint) or hint  # dict[str, float] is a dict


def _a(value: Any) -> str:
    """A value in a message: what it is, never what it holds."""
    if value is None:
        return "None"
    if isinstance(value, ModuleType):
        return f"the Python module {value.__name__}"
    kind = f"class {value.__name__}" if isinstance(value, type) else type(value).__name__
    article = "the" if isinstance(value, type) else "an" if kind[0] in "aeiouAEIOU" else "a"
    return f"{article} {kind}"
