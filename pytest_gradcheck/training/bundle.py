"""A failing step in one file, beside a short script that repeats it without this package."""

from __future__ import annotations

import inspect
import os
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.training.state import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gradcheck.model.training import TrainingReport
    from pytest_gradcheck.training.loop import Loop
    from pytest_gradcheck.training.plan import Plan

STATE, SCRIPT = "step.pt", "reproduce.py"
_SAFE = (torch.Tensor, str, int, float, bool, type(None))


@dataclass(frozen=True)
class _Source:
    """How the script gets at the model or the loss.

    Attributes:
        lines: Import lines, and the folders they need.
        folders: Folders for `sys.path`.
        code: Expression that gives the object; None where it has to be written by hand.
        kept: The object itself, where it travels in the file.
    """

    lines: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    code: str | None = None
    kept: Any = None


def bundled(report: TrainingReport, plan: Plan, loop: Loop) -> TrainingReport:
    """The report with the path of the script that repeats its failing step; unchanged where no number is nan or inf.

    Raises:
        UsageProblem: The folder cannot be written.
    """
    failure = report.failure
    if failure is None or failure.value not in {"nan", "inf"} or plan.bundle is None or loop.batch is None:
        return report
    loop.state.restore()  # back to before the forward: buffers, generators and attributes
    model, loss = _model_of(plan, loop.model), _loss_of(plan)
    data = {"inputs": loop.batch.inputs, "targets": loop.batch.targets}
    objects = {
        key: source.kept for key, source in (("model", model), ("loss_function", loss)) if source.kept is not None
    }
    safe = not objects and all(map(_is_safe, data.values()))
    rows = report.health.gradient
    kept = {
        "step": len(report.loss) - 1,
        "state": {name: value for name, value in loop.model.state_dict().items() if isinstance(value, torch.Tensor)},
        "optimizer": _plain(loop.optimizer.state_dict()),
        "rng": loop.state.random.states(),
        "lr": report.learning_rate[-1],
        "scale": loop.scale,
        "losses": list(report.loss),
        "gradient_norms": list(report.gradient_norm),
        "last_norms": dict(zip(report.health.parameters, rows[-1], strict=True)) if rows else {},
    }
    script = plan.bundle / SCRIPT
    try:
        plan.bundle.mkdir(parents=True, exist_ok=True)
        torch.save({**kept, **data, **objects}, plan.bundle / STATE)
        script.write_text("\n".join(_script(report, plan, loop, model, loss, safe)) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"the bundle cannot be written to {plan.bundle}: {error}") from error
    by_hand = [name for name, source in (("model", model), ("loss", loss)) if source.code is None]
    notes = [f"the bundle's script needs a line of yours that builds the {name}" for name in by_hand]
    return replace(report, bundle=_shown(script), notes=(*report.notes, *notes))


def _model_of(plan: Plan, model: nn.Module) -> _Source:
    """The factory where it can be imported, else the model itself where it can be pickled."""
    if not isinstance(plan.model, nn.Module):
        found = _imported(plan.model)
        if found:
            return replace(found, code=f"{found.code}()")
    return _pickled(model, "model") or _Source()


def _loss_of(plan: Plan) -> _Source:
    if plan.loss is None:
        return _Source(("import torch.nn.functional as F",), (), "F.cross_entropy")
    return _imported(plan.loss) or _pickled(plan.loss, "loss_function") or _Source()


def _imported(thing: Any) -> _Source | None:
    """How to import a function or class; None where it has no name of its own in a module."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "<")
    if not module or module == "__main__" or "<" in name:
        return None
    return _Source((f"from {module} import {name.partition('.')[0]}",), _folder(thing, module), name)


def _pickled(thing: Any, key: str) -> _Source | None:
    """The thing itself, where its class can be imported."""
    try:
        pickle.dumps(thing)
    except Exception:  # noqa: BLE001 - a pickle may fail in any way; then there is another one
        return None
    kinds = [type(module) for module in thing.modules()] if isinstance(thing, nn.Module) else [type(thing)]
    folders = {folder: None for kind in kinds for folder in _folder(kind, kind.__module__)}
    return _Source((), tuple(folders), f'kept["{key}"]', thing)


def _folder(thing: Any, module: str) -> tuple[str, ...]:
    """The folder that must be on the path for `import module`, unless it is installed."""
    try:
        file = Path(inspect.getsourcefile(thing) or "").resolve()
    except TypeError:
        return ()
    if "site-packages" in file.parts or not file.is_file():
        return ()
    depth = module.count(".") + (file.name == "__init__.py")
    return (str(file.parents[depth]),)


def _is_safe(part: Any) -> bool:
    if isinstance(part, dict):
        return all(map(_is_safe, part.values()))
    return all(map(_is_safe, part)) if type(part) in (list, tuple) else type(part) in _SAFE


def _plain(part: Any) -> Any:
    """What of an optimizer's state is plain; the rest would make the file unsafe to load."""
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_plain(value) for value in part]
    return part if isinstance(part, _SAFE) else repr(part)


def _script(report: TrainingReport, plan: Plan, loop: Loop, model: _Source, loss: _Source, safe: bool) -> Iterator[str]:
    """The lines of the script: plain torch."""
    step, value = len(report.loss) - 1, report.loss[-1]
    yield f'"""Repeats step {step} of a smoke run of {report.model}; its loss was {value:.6g}."""'
    yield "import sys"
    yield "from pathlib import Path"
    yield "import torch"
    folders = list(dict.fromkeys((*model.folders, *loss.folders)))
    if folders:
        yield f"sys.path[:0] = {folders!r}"
    yield from dict.fromkeys((*model.lines, *loss.lines))
    yield f'kept = torch.load(Path(__file__).with_name("{STATE}"), weights_only={safe})'
    yield f"model = {model.code or '...  # build the model here'}"
    inputs = loop.batch.inputs if loop.batch else None
    stars = "**" if isinstance(inputs, dict) else "*" if isinstance(inputs, (tuple, list)) else ""
    if _fits_itself(plan, loop.model):
        yield f'model({stars}kept["inputs"])  # fits itself to these inputs'
    yield 'model.train().load_state_dict(kept["state"])'
    yield 'torch.set_rng_state(kept["rng"]["cpu"])'
    if loop.feed.home.type == "cuda":
        yield 'torch.cuda.set_rng_state_all(kept["rng"]["cuda"])'
    if plan.amp is not None:
        yield f'with torch.autocast("{loop.feed.home.type}", dtype={plan.amp}):'
    indent = "    " if plan.amp is not None else ""
    outputs = f'model({stars}kept["inputs"])'
    own = plan.loss is None and loop.batch is not None and loop.batch.targets is None
    if own:  # in a mapping or in an attribute, as the run reads it
        yield f"{indent}outputs = {outputs}"
        yield f'{indent}loss = outputs["loss"] if hasattr(outputs, "keys") else outputs.loss'
    else:
        yield f'{indent}loss = {loss.code or "(...)"}({outputs}, kept["targets"])'
    yield f"{'loss' if loop.scale == 1 else f'(loss * {loop.scale:g})'}.sum().backward()"
    yield "grads = {name: item.grad for name, item in model.named_parameters() if item.grad is not None}"
    yield "bad = [name for name, grad in grads.items() if not grad.isfinite().all()]"
    yield """print(f"loss {loss.item():.6g}; gradients that are not finite: {', '.join(bad) or 'none'}")"""


def _fits_itself(plan: Plan, model: nn.Module) -> bool:
    """Whether a fresh model of the factory has other shapes until it has seen inputs."""
    if isinstance(plan.model, nn.Module):
        return False
    with seeded(0):
        fresh = plan.model().state_dict()
    return any(
        is_lazy(fresh[name]) or fresh[name].shape != value.shape
        for name, value in model.state_dict().items()
        if name in fresh and isinstance(value, torch.Tensor)
    )


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
