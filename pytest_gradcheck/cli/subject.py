"""What `check` and `train` share: the object built, its inputs drawn, its report written."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pytest_gradcheck import annotated
from pytest_gradcheck.annotated import Spec
from pytest_gradcheck.cli import literals, targets
from pytest_gradcheck.cli import makers as model_makers
from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.lazy import load
from pytest_gradcheck.marker import Marker, accepts_no_init, check_constructor
from pytest_gradcheck.model.session import Entry, SessionReport
from pytest_gradcheck.render import document

#: What annotations call the batch's dimension.
BATCH = ("batch", "batch_size", "b", "B", "n", "N")


def add_options(own: argparse.ArgumentParser) -> None:
    """Registers what both commands take."""
    own.add_argument("target", metavar="MODULE:NAME", help="package.module:Name, or path/file.py:Name")
    own.add_argument("--init", metavar="ARGS", help="constructor arguments, such as '16, 4, bias=False'")
    own.add_argument(
        "--input", action="append", metavar="SHAPE", help="an input such as 8,16 or 8,16:0..99; repeatable"
    )
    own.add_argument("--dim", action="append", default=[], metavar="NAME=SIZE", help="size of an annotated dimension")
    own.add_argument("--seed", type=int, default=0, help="seed of every random draw (default 0)")
    own.add_argument("--device", help="device to run on (default cpu)")
    own.add_argument("--json", type=Path, metavar="FILE.json", help="write the report as JSON too")
    own.add_argument("--html", type=Path, metavar="FILE.html", help="write the report as an HTML page too")


def marker_of(chosen: argparse.Namespace) -> Marker:
    """The constructor arguments of the command line."""
    if chosen.init is None:
        return Marker()
    positional, named = literals.arguments(chosen.init, "--init")
    return Marker(init=positional, init_kwargs=named)


def factory(chosen: argparse.Namespace, marker: Marker, makers: bool = False) -> tuple[Any, Callable[[], Any]]:
    """The object that the command line names, and what builds the subject of it.

    Args:
        chosen: The command line.
        marker: The constructor arguments.
        makers: Whether a function is called for the subject, instead of being it.

    Raises:
        UsageProblem: It is not there, or cannot be built with these arguments.
    """
    target = targets.find(chosen.target)
    construct = load("pytest_gradcheck.subjects.draw", "construct", "a smoke run" if makers else "a gradient check")
    import torch

    if makers:
        model_makers.refuse(chosen.target, target)
    if not isinstance(target, type):
        if makers and not isinstance(target, torch.nn.Module):
            return target, lambda: model_makers.made(chosen.target, target, marker)
        if marker.has_init:
            raise UsageProblem(f"{chosen.target} is no class: --init builds an nn.Module class")
        return target, lambda: target
    is_module = issubclass(target, torch.nn.Module)
    if not is_module and not issubclass(target, torch.autograd.Function):
        raise UsageProblem(f"{chosen.target} is neither an nn.Module, an autograd.Function nor a function")
    accepts_no_init(marker, target, is_module)
    if is_module:
        try:
            check_constructor(marker, target)
        except UsageProblem as problem:
            said = str(problem).removeprefix("gradcheck: ")
            raise UsageProblem(f"{said}; give the arguments with --init, such as --init 16,4") from None
    return target, lambda: construct(target, marker)


def inputs(
    chosen: argparse.Namespace, target: Any, subject: Any, marker: Marker, batch: int | None = None
) -> tuple[list[Spec], str | None]:
    """The inputs to draw, and a line that says so where they come from annotations.

    Args:
        chosen: The command line.
        target, subject: What it names, and what was built of it.
        marker: The constructor arguments.
        batch: Size of an annotated dimension that is called a batch; None treats it like any other.

    Raises:
        UsageProblem: No shapes are given, and none can be inferred.
    """
    if chosen.input:
        return [literals.spec(text) for text in chosen.input], None
    usual = {} if batch is None else dict.fromkeys(BATCH, batch)
    known = usual | annotated.sizes_of(subject, _arguments(target, marker)) | dict(map(literals.dimension, chosen.dim))
    found, sizes = annotated.infer(getattr(subject, "forward", subject), known)
    used = ", ".join(f"{name}={size}" for name, size in sizes.items() if name in _named(subject))
    shapes = ", ".join(f"{name} {spec}" for name, spec in found.items())
    return list(found.values()), f"inputs from the annotations of forward: {shapes}" + (f" ({used})" if used else "")


def draw(specs: Sequence[Spec], seed: int) -> tuple[Any, ...]:
    """Tensors of these shapes, the same for the same seed."""
    import torch

    from pytest_gradcheck.subjects.draw import drawn_as

    source = torch.Generator().manual_seed(seed)
    return tuple(drawn_as(spec, source) for spec in specs)


def outputs(chosen: argparse.Namespace) -> list[Path]:
    """The files to write, seen to be writable before the work begins.

    Raises:
        UsageProblem: One of them cannot be written, or has another suffix than its option says.
    """
    paths = [(f"--{kind}", getattr(chosen, kind), f".{kind}") for kind in ("json", "html")]
    for option, path, suffix in paths:
        if path is not None and document.check_path(path, option).suffix.lower() != suffix:
            raise UsageProblem(f"{option} {path}: the file must end in {suffix}")
    lacking = document.missing() if chosen.html else None
    if lacking:
        raise UsageProblem(f"--html needs {lacking}, which is not installed: {document.INSTALL}; --json works without")
    return [path for _, path, _ in paths if path is not None]


def publish(chosen: argparse.Namespace, report: Any, kind: str, started: float, paths: Sequence[Path]) -> None:
    """Prints a report, and writes it to the files asked for.

    Raises:
        UsageProblem: A file cannot be written.
    """
    print(report)  # noqa: T201  a command line prints
    from pytest_gradcheck.environment import environment

    entry = Entry(chosen.target, kind, "passed" if report.passed else "failed", report)
    session = SessionReport(
        created=datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 3),
        command=report.rerun,
        environment=environment(),
        entries=(entry,),
    )
    for path in paths:
        try:
            document.write(path, session)
        except OSError as error:
            raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error
        print(f"wrote {path}")  # noqa: T201


def _arguments(target: Any, marker: Marker) -> dict[str, Any]:
    """Constructor arguments by the names of their parameters, defaults included."""
    return annotated.bound(target, marker.init or (), marker.init_kwargs) if isinstance(target, type) else {}


def _named(subject: Any) -> str:
    """All dimension words of a forward, to list only the sizes that matter."""
    hints = getattr(getattr(subject, "forward", subject), "__annotations__", {})
    return " ".join(str(getattr(hint, "dim_str", hint)) for hint in hints.values())
