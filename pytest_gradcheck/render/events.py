"""Training runs as event files that TensorBoard reads: one folder a run, named after its test."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.training import TrainingReport

if TYPE_CHECKING:
    from pytest_gradcheck.model.run_health import Histogram
    from pytest_gradcheck.model.session import SessionReport

INSTALL = "pip install tensorboard"


def write_events(folder: Path, session: SessionReport) -> list[Path]:
    """Write every training run of a session, one folder a run and seed.

    The scalars are the loss, the gradient's norm, the learning rate, each parameter's gradient norm and the largest
    relative update; the histograms are of log10 |gradient|. Steps are the run's own.

    Args:
        folder: Where the folders go; it is made where it is missing.
        session: The session.

    Returns:
        The folders, in the order of the session.

    Raises:
        UsageProblem: tensorboard is not installed, or the folder cannot be written.
    """
    try:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ModuleNotFoundError as error:
        raise UsageProblem(f"event files need {error.name}, which is not installed: {INSTALL}") from error
    written = []
    started = _seconds(session.created)
    for name, run in _runs(session):
        path = folder / name
        try:
            path.mkdir(parents=True, exist_ok=True)
            writer = EventFileWriter(str(path))
            for event in _events(run, started):
                writer.add_event(event)
            writer.close()
        except OSError as error:
            raise UsageProblem(f"event files cannot be written to {path}: {error.strerror or error}") from error
        written.append(path)
    return written


def _runs(session: SessionReport) -> Iterator[tuple[str, TrainingReport]]:
    taken: set[str] = set()
    for entry in session.entries:
        if not isinstance(entry.report, TrainingReport):
            continue
        for run in entry.report.seeds or (entry.report,):
            name = re.sub(r"[^\w.\[\]=-]+", "_", entry.id).strip("._") or "run"
            name += f"/seed-{run.seed}" if entry.report.seeds else ""
            unique = next(each for k in range(len(taken) + 1) if (each := f"{name}-{k}" if k else name) not in taken)
            taken.add(unique)
            yield unique, run


def _events(run: TrainingReport, started: float) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    def event(step: int, **value: Any) -> Any:
        # Steps of one run need times that rise: TensorBoard sorts by them where it shows wall time.
        return Event(wall_time=started + step * 1e-3, step=step, summary=Summary(value=[Summary.Value(**value)]))

    for tag, curve in (("loss", run.loss), ("gradient norm", run.gradient_norm), ("learning rate", run.learning_rate)):
        for step, number in enumerate(curve):
            yield event(step, tag=tag, simple_value=number)
    health = run.health
    for step, norms in zip(health.steps, health.gradient, strict=True):
        for parameter, number in zip(health.parameters, norms, strict=True):
            yield event(step, tag=f"gradient norm of/{parameter}", simple_value=number)
    for update in health.updates:
        yield event(update.step, tag="largest relative update", simple_value=update.ratio)
    for sample in health.samples:
        for histogram in sample.histograms:
            if histogram.counts:
                tag = f"log10 of the gradient of/{histogram.parameter}"
                yield event(sample.step, tag=tag, histo=_bins(histogram))


def _bins(histogram: Histogram) -> Any:
    """The bins as TensorBoard wants them: upper edges, and moments estimated from the middles."""
    from tensorboard.compat.proto.histogram_pb2 import HistogramProto

    width, counts = histogram.WIDTH, histogram.counts
    edges = [histogram.lowest + width * (k + 1) for k in range(len(counts))]
    middles = [edge - width / 2 for edge in edges]
    return HistogramProto(
        min=histogram.lowest,
        max=edges[-1],
        num=sum(counts),
        sum=sum(count * middle for count, middle in zip(counts, middles, strict=True)),
        sum_squares=sum(count * middle**2 for count, middle in zip(counts, middles, strict=True)),
        bucket_limit=[histogram.lowest, *edges],
        bucket=[0, *counts],
    )


def _seconds(created: str) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return time.time()
