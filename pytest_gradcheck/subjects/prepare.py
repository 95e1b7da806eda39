"""Making the subject: copying or borrowing its state, casting it, choosing what is checked, giving all of it back."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.settings import Settings
from pytest_gradcheck.subjects import state, tree
from pytest_gradcheck.subjects.batch import Batch
from pytest_gradcheck.subjects.constants import held_constant
from pytest_gradcheck.subjects.devices import find
from pytest_gradcheck.subjects.forward import Arguments, Forward
from pytest_gradcheck.subjects.graph import reached
from pytest_gradcheck.subjects.randomness import Replayed, untouched
from pytest_gradcheck.subjects.refused import nothing, refuse_meta
from pytest_gradcheck.subjects.resolve import Resolved
from pytest_gradcheck.subjects.subject import Leaf, Subject

#: Subjects that read at most this many numbers run on one thread: torch's own grain of parallel work is of this size.
SMALL = 32_768


@contextmanager
def prepared(
    resolved: Resolved, inputs: Sequence[Any], kwargs: Mapping[str, Any], wrt: Sequence[str] | None, settings: Settings
) -> Iterator[Subject]:
    """The subject in the check's precision and on its device; afterwards everything is as it was found.

    Raises:
        UsageProblem: Nothing checkable remains, `wrt` names nothing that can be checked, or the device is missing.
    """
    _refuse(resolved, inputs, kwargs, wrt)
    dtype: torch.dtype = getattr(torch, settings.dtype)
    device = _device(settings.device)
    found_dtype = torch.get_default_dtype()
    where = device or _home(resolved, inputs, kwargs)
    with untouched(where):
        replayed = Replayed(settings.seed, where)
        # Tensors that the subject itself creates without a dtype follow the check's precision.
        torch.set_default_dtype(dtype)
        try:
            size = _size(resolved, inputs, kwargs)
            lent = _borrowed(resolved, inputs, kwargs, dtype, device, replayed)
            with _few_threads(size), lent as (module, roots, held), held_constant(roots) as constants:
                arguments = Arguments(inputs, kwargs, dtype, device)
                leaves = _chosen(arguments, held, _owned(roots), wrt, nothing(inputs, kwargs))
                held.hold({id(leaf.tensor) for leaf in leaves})
                compute = Forward(resolved, module, arguments, held, replayed)
                batch = Batch(compute, held)
                yield Subject(
                    resolved.name, leaves, compute, resolved.function, resolved.source, size, batch, constants
                )
        finally:
            torch.set_default_dtype(found_dtype)


def listed(wrt: Any) -> Any:
    """`wrt` in a form that can be read twice, as a generator cannot; one name alone stays a name."""
    return list(wrt) if isinstance(wrt, Iterable) and not isinstance(wrt, str) else wrt


def _refuse(resolved: Resolved, inputs: Sequence[Any], kwargs: Any, wrt: Any) -> None:
    """Refuses what no check can answer, before anything is touched."""
    if not isinstance(kwargs, Mapping):
        raise UsageProblem(f"kwargs is a {type(kwargs).__name__}: give the forward's keywords as a dict")
    if wrt is not None and not (isinstance(wrt, Iterable) and all(isinstance(name, str) for name in wrt)):
        raise UsageProblem(f"wrt takes a list of tensor names, such as ['input0', 'weight'], not {wrt!r}")
    if wrt is not None and not wrt:
        raise UsageProblem("wrt is empty: name at least one tensor to check, or leave wrt out to check all")
    owners = [("", resolved.module), *resolved.captured]
    modules = [owner for _, owner in owners if isinstance(owner, nn.Module)]
    refuse_meta(inputs, kwargs, [named for module in modules for named in module.named_parameters()])


@contextmanager
def _few_threads(size: int) -> Iterator[None]:
    """One thread for small subjects: handing microseconds of work to a second core costs more than it saves.

    On a machine whose cores are busy the wait for that second core made checks of a few numbers 40 times slower.
    """
    threads = torch.get_num_threads()
    if size <= SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _borrowed(
    resolved: Resolved,
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any],
    dtype: torch.dtype,
    device: torch.device | None,
    replayed: Replayed,
) -> Iterator[tuple[nn.Module | None, dict[str, nn.Module | torch.Tensor], state.Held]]:
    """A copy of the module, or what cannot be copied itself, cast and given back at the end."""
    module = resolved.module
    if module is not None:
        twin = state.copied(module)
        module = module if twin is None else twin
        _materialise(resolved, module, inputs, kwargs, replayed)
    roots: dict[str, nn.Module | torch.Tensor] = dict(resolved.captured) if module is None else {"": module}
    unseen = _unseen(resolved, module, roots, inputs, kwargs, replayed)
    if module is not resolved.module and _shares(unseen, resolved.module):
        # A closure or hook inside the module still holds the original: the copy would be checked in its place.
        module, roots = resolved.module, {"": resolved.module}  # type: ignore[dict-item]
        unseen = _unseen(resolved, module, roots, inputs, kwargs, replayed)
    roots |= {f"captured{k}": tensor for k, tensor in enumerate(unseen)}
    modules = [root for root in roots.values() if isinstance(root, nn.Module)]
    held = state.Held(modules, [root for root in roots.values() if isinstance(root, torch.Tensor)])
    try:
        held.cast(dtype, device)
        yield module, roots, held
    finally:
        held.release()


def _materialise(
    resolved: Resolved, module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any], replayed: Replayed
) -> None:
    """Gives lazy modules their shapes by one dry run in their own precision."""
    lazy = (UninitializedParameter, UninitializedBuffer)
    if not any(isinstance(tensor, lazy) for tensor in (*module.parameters(), *module.buffers())):
        return
    replayed.restart()
    mode = {part: part.training for part in module.modules()}
    copies = tree.replace((list(inputs), dict(kwargs)), lambda _, tensor: tensor.detach().clone())
    # What is wrong here is said by the first real evaluation, with the shapes in its message.
    with torch.no_grad(), suppress(Exception), _unwarned():
        resolved.call(module)(*copies[0], **copies[1])
    for part, training in mode.items():
        part.training = training


def _unseen(
    resolved: Resolved,
    module: nn.Module | None,
    roots: Mapping[str, nn.Module | torch.Tensor],
    inputs: Sequence[Any],
    kwargs: Mapping[str, Any],
    replayed: Replayed,
) -> list[torch.Tensor]:
    """Tensors that require a gradient and that the subject's graph reaches, but no root owns: whoever holds them."""
    modules = [root for root in roots.values() if isinstance(root, nn.Module)]
    guard = state.Held(modules, [root for root in roots.values() if isinstance(root, torch.Tensor)])
    guard.hold(set())
    replayed.restart()
    copies = tree.replace((list(inputs), dict(kwargs)), lambda _, tensor: tensor.detach().clone())
    try:
        with torch.enable_grad(), _unwarned():
            outputs = [output for _, output in tree.tensors(resolved.call(module)(*copies[0], **copies[1]))]
    except Exception:  # noqa: BLE001  what is wrong here is said by the first real evaluation
        return []
    finally:
        guard.restore()
    known = {id(tensor) for _, tensor, _ in _owned(roots)}
    return [tensor for tensor in reached(outputs) if id(tensor) not in known]


@contextmanager
def _unwarned() -> Iterator[None]:
    """Lets a run that only looks warn of nothing: the first real evaluation warns again, or raises under -W error.

    Torch's kernels say some warnings once in a process. While they are told to warn always, that one time is not used
    up. Python code that remembers by itself what it has said (a flag, a cache around `warnings.warn`) stays silent.
    """
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_warn_always(always)


def _shares(tensors: Sequence[torch.Tensor], module: nn.Module | None) -> bool:
    own = {id(parameter) for parameter in module.parameters()} if module is not None else set()
    return any(id(tensor) in own for tensor in tensors)


def _owned(roots: Mapping[str, Any]) -> list[tuple[str, torch.Tensor, bool]]:
    """Name, tensor and whether it is checked by default, for all parameters and captured tensors.

    A tied tensor stands under each of its names, so that `wrt` knows them all; by default only the first is checked.
    """
    owned: list[tuple[str, torch.Tensor, bool]] = []
    seen: set[int] = set()
    for root, value in roots.items():
        pairs = [("", value)] if isinstance(value, torch.Tensor) else value.named_parameters(remove_duplicate=False)
        for name, tensor in pairs:
            full = ".".join(part for part in (root, name.replace("_orig_mod.", "")) if part)
            owned.append((full, tensor, tensor.requires_grad and id(tensor) not in seen))
            seen.add(id(tensor))
    return owned


def _chosen(
    arguments: Arguments,
    held: state.Held,
    owned: list[tuple[str, torch.Tensor, bool]],
    wrt: Sequence[str] | None,
    nothing: str,
) -> list[Leaf]:
    """The leaves: what requires a gradient, or what `wrt` names; `nothing` is what to say where there are none."""
    floating = {name: tensor for name, tensor in arguments.tensors.items() if _differentiable(tensor)}
    parameters = {
        f"{name} (parameter)" if name in arguments.tensors else name: (tensor, on) for name, tensor, on in owned
    }
    if wrt is None:
        inputs = [name for name in floating if name in arguments.requiring] or list(floating)
        names = inputs + [name for name, (_, on) in parameters.items() if on]
    else:
        names = list(dict.fromkeys([wrt] if isinstance(wrt, str) else wrt))
    if not names:
        raise UsageProblem(nothing)
    leaves = []
    for name in names:
        _known(name, arguments, floating, parameters)
        tensor, kind = (floating[name], "input") if name in floating else (parameters[name][0], "parameter")
        leaves.append(Leaf.of(name, tensor.requires_grad_(True), kind, held.found(tensor)))
    return leaves


def _differentiable(tensor: torch.Tensor) -> bool:
    """Whether single elements of an input can be moved: sparse inputs pass through as they are."""
    movable = tensor.layout is torch.strided and not tensor.is_nested
    return (tensor.is_floating_point() or tensor.is_complex()) and movable


def _known(name: str, arguments: Arguments, floating: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    if name in floating or name in parameters:
        return
    if name in arguments.tensors:
        tensor = arguments.tensors[name]
        dtype = str(tensor.dtype if tensor.layout is torch.strided else tensor.layout).removeprefix("torch.")
        raise UsageProblem(
            f"wrt names {name!r}, which holds {dtype}: only dense floating and complex tensors can be checked"
        )
    known = [*floating, *parameters]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageProblem(
        f"wrt names {name!r}, which is neither an input nor a parameter; {hint}known are {', '.join(known)}"
    )


def _device(name: str | None) -> torch.device | None:
    return None if name is None else find(name)


def _size(resolved: Resolved, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Numbers that one evaluation reads at least: those of the inputs and of every known parameter."""
    owners = [resolved.module, *(value for _, value in resolved.captured)]
    lazy = (UninitializedParameter, UninitializedBuffer)
    found = [tensor for _, tensor in tree.tensors((list(inputs), dict(kwargs)))]
    found += [tensor for owner in owners if isinstance(owner, nn.Module) for tensor in owner.parameters()]
    return sum(tensor.numel() for tensor in found if not isinstance(tensor, lazy))


def _home(resolved: Resolved, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """The device on which the subject computes: that of its first tensor."""
    owners = [resolved.module, *(value for _, value in resolved.captured)]
    candidates = [tensor for _, tensor in tree.tensors((list(inputs), dict(kwargs)))]
    candidates += [tensor for owner in owners if isinstance(owner, nn.Module) for tensor in owner.parameters()]
    return next((tensor.device for tensor in candidates), torch.device("cpu"))
