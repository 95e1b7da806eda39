"""What the user handed over: a custom Function, a module, or any callable with what it captured."""

from __future__ import annotations

import dis
import functools
import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem

#: Folders of code that a user's exception may pass through, but cannot be mended in.
LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[1]))
#: Python's own modules; packages may be installed in folders below.
PYTHON = Path(functools.__file__).parent

#: Characters up to which a message shows a value rather than its type.
_LINE = 60


@dataclass(frozen=True)
class Resolved:
    """A subject before its tensors are prepared.

    Attributes:
        name: What to call it in messages.
        call: What to call with the inputs; where `module` is set, `call` looks itself up on the module it is given.
        module: The module whose parameters are checked, or None.
        captured: Modules and tensors that a plain callable reaches by closure, global name or argument binding.
        function: The `autograd.Function` subclass, where the subject is one.
        source: "file:line" of the backward or forward, or None.
    """

    name: str
    call: Callable[[nn.Module | None], Callable[..., Any]]
    module: nn.Module | None
    captured: tuple[tuple[str, nn.Module | torch.Tensor], ...]
    function: type[torch.autograd.Function] | None
    source: str | None


def resolve(subject: Any) -> Resolved:
    """Finds out what the subject is.

    Raises:
        UsageProblem: It is a module class, or cannot be called.
    """
    owner = getattr(subject, "__self__", None)
    if _is_function_class(owner) and getattr(subject, "__name__", "") == "apply":
        subject = owner
    if _is_function_class(subject):
        apply = subject.apply
        return Resolved(subject.__name__, lambda _: apply, None, (), subject, where(_backward(subject)))
    if isinstance(subject, type) and issubclass(subject, nn.Module):
        raise UsageProblem(
            f"{subject.__name__} is a class; a gradient check needs an instance: pass {subject.__name__}(...), "
            f"or name the constructor's arguments in the marker: gradcheck(..., init=(...))"
        )
    made = subject.func if isinstance(subject, functools.partial) else None
    if isinstance(made, type) and issubclass(made, nn.Module):
        raise UsageProblem(f"{_name(subject)} makes modules; a gradient check needs one: pass what it returns")
    if isinstance(subject, torch.autograd.Function):
        name = type(subject).__name__
        raise UsageProblem(f"{name}() is an instance of an autograd.Function: pass {name} itself, or {name}.apply")
    if isinstance(subject, nn.Module):
        return Resolved(
            type(subject).__name__, _itself, subject, (), None, where(getattr(type(subject), "forward", None))
        )
    if inspect.ismethod(subject) and isinstance(owner, nn.Module):
        method = subject.__name__
        name = f"{type(owner).__name__}.{method}"
        return Resolved(name, lambda module: getattr(module, method), owner, (), None, where(subject))
    if not callable(subject):
        raise UsageProblem(
            f"cannot check the gradient of {_shown(subject)}: a subject is an autograd.Function class, an nn.Module or "
            f"another callable"
        )
    return Resolved(_name(subject), lambda _: subject, None, tuple(_captured(subject)), None, where(subject))


def where(code: Any) -> str | None:
    """ "file:line" of a function, the file relative to the working directory where it lies below it."""
    try:
        code = inspect.unwrap(code)
        file, line = inspect.getsourcefile(code), inspect.getsourcelines(code)[1]
    except (TypeError, OSError):
        return None
    if file is None:
        return None
    return f"{relative(Path(file))}:{line}"


def raised_at(error: BaseException) -> str | None:
    """ "file:line" of the innermost frame that is neither torch's, Python's nor this package's, or None."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if not frame.filename.startswith(LIBRARIES) and Path(frame.filename).parent != PYTHON
    ]
    return f"{relative(Path(own[-1].filename))}:{own[-1].lineno}" if own else None


def at(error: BaseException) -> str:
    """ " (file:line)" of the innermost frame of the user's own code, to end a message with; else empty."""
    place = raised_at(error)
    return f" ({place})" if place else ""


def relative(path: Path) -> Path:
    """The path relative to the working directory where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _is_function_class(subject: Any) -> bool:
    return isinstance(subject, type) and issubclass(subject, torch.autograd.Function)


def _backward(function: type[torch.autograd.Function]) -> Any:
    """A Function's own backward or vjp; its forward where it has neither."""
    base = torch.autograd.Function
    if function.vjp is not base.vjp:
        return function.vjp
    return function.forward if function.backward is base.backward else function.backward


def _itself(module: nn.Module | None) -> Callable[..., Any]:
    assert module is not None
    return module


def _name(subject: Any) -> str:
    if isinstance(subject, functools.partial):
        return f"partial({_name(subject.func)})"
    name = "__qualname__" if inspect.isfunction(subject) or inspect.ismethod(subject) else "__name__"
    return getattr(subject, name, None) or type(subject).__name__


def _shown(value: Any) -> str:
    """A value in one line of a message."""
    said = repr(value)
    return said if len(said) <= _LINE and "\n" not in said else f"a {type(value).__name__}"


def _captured(subject: Any) -> Iterator[tuple[str, nn.Module | torch.Tensor]]:
    """Modules and floating tensors that a callable uses beside its inputs, by the name it knows them under."""
    if isinstance(subject, functools.partial):
        bound = [(f"args[{i}]", value) for i, value in enumerate(subject.args)] + list(subject.keywords.items())
        yield from _capturable([*bound, ("func", subject.func)])
        if not isinstance(subject.func, nn.Module):
            yield from _captured(subject.func)
        return
    if inspect.ismethod(subject) and not isinstance(subject.__self__, type):
        yield from _capturable(getattr(subject.__self__, "__dict__", {}).items())
    code = getattr(inspect.unwrap(subject), "__code__", None)
    if code is None:
        attributes = getattr(subject, "__dict__", {})
        yield from _capturable(attributes.items())
        return
    function = inspect.unwrap(subject)
    cells = zip(code.co_freevars, function.__closure__ or (), strict=False)
    yield from _capturable([(cell_name, cell.cell_contents) for cell_name, cell in cells if _filled(cell)])
    # Attributes are among co_names too: a global of the same name has nothing to do with them.
    used = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    yield from _capturable([(key, value) for key, value in function.__globals__.items() if key in used])


def _capturable(pairs: Any) -> Iterator[tuple[str, nn.Module | torch.Tensor]]:
    for name, value in pairs:
        if isinstance(value, nn.Module) or (isinstance(value, torch.Tensor) and _movable(value)):
            yield name, value
        elif inspect.ismethod(value) and isinstance(value.__self__, nn.Module):
            yield name, value.__self__


def _movable(tensor: torch.Tensor) -> bool:
    return tensor.is_leaf and (tensor.is_floating_point() or tensor.is_complex())


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
