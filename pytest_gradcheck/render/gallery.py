"""Which pictures an entry of a report gets, and what is written under them. Needs the extra `[report]`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from pytest_gradcheck.model import GradientFlow, LayerFlow, Report, TensorCheck, TrainingReport, Verdict
from pytest_gradcheck.model.session import Entry
from pytest_gradcheck.render.plots import curves, elements, layers, svg, sweep

#: Tensors of one check that get pictures: the worst ones.
TENSORS = 4
#: Share of a tensor's elements that must have been measured for a map of where it is wrong; of a right one, all.
SPARSE = 0.01

#: Class of what is drawn, and what it is.
Legend = tuple[tuple[str, str], ...]
_SWEEP: Legend = (
    ("line second", "central quotient at step h"),
    ("line fourth", "extrapolated to order 4, with its error bars"),
    ("line noise", "what the function's noise alone can do"),
    ("dot best", "the estimate that was used"),
)
_SCATTER: Legend = (("dot", "agrees"), ("dot off", "differs"), ("line agree", "equal"))
_DEPTH: Legend = (
    ("line first", "gradient, first look"),
    ("line last", "gradient, last look"),
    ("line activation", "activation"),
)


@dataclass(frozen=True)
class Picture:
    """A plot with its caption.

    Attributes:
        svg: The plot.
        caption: What it shows, and what to look for.
        legend: What its lines and dots mean.
        wide: Whether it is broader than high.
        scale: Colours of a map, from no disagreement to a complete one.
    """

    svg: Markup
    caption: str
    legend: Legend = ()
    wide: bool = True
    scale: tuple[str, ...] = ()


class Gallery:
    """Draws the pictures of one page; axes that many of them share are drawn once."""

    def __init__(self) -> None:
        self._sweeps = sweep.Sweeps()
        self._scatters = elements.Scatters()
        self._maps = elements.HeatMaps()
        self._frames: dict[tuple[str, tuple[float, ...]], str] = {}

    @property
    def frames(self) -> Markup:
        """The shared axes, as symbols; complete when all pictures are drawn."""
        symbols = [
            sweep.frame(bands, name) if kind == "sweep" else elements.scatter_frame(name)
            for (kind, bands), name in self._frames.items()
        ]
        return Markup("".join(symbols))

    def of(self, entry: Entry) -> list[Picture]:
        """The pictures of one entry, for which there are data."""
        if isinstance(entry.report, Report):
            return list(self._gradient(entry.report))
        if isinstance(entry.report, TrainingReport):
            return list(_training(entry.report))
        return list(_flow(entry.report)) if isinstance(entry.report, GradientFlow) else []

    def _gradient(self, report: Report) -> Iterator[Picture]:
        checks = sorted((*report.tensors, *report.second_order), key=_badness)
        bad = [check for check in checks if check.verdict is not Verdict.GOOD]
        pictured = [check for check in bad or checks if check.elements or check.sweep][: TENSORS if bad else 1]
        if report.sweep and not any(check.sweep for check in pictured):
            yield self._sweep(report, None)
        for check in pictured:
            if check.sweep:
                yield self._sweep(report, check)
            yield from self._elements(report, check)

    def _sweep(self, report: Report, check: TensorCheck | None) -> Picture:
        found = check.sweep if check and check.sweep else report.sweep
        assert found is not None
        drawn = self._sweeps.draw(found, self._frame("sweep", tuple(report.settings.bands)))
        # Of a check that fails in its second order alone, what can be drawn is the first.
        first = check is None and any(tensor.verdict is Verdict.WRONG for tensor in report.second_order)
        order = ", of the first derivative" if first else ""
        return Picture(Markup(drawn), f"Error against step{order}, along {found.where}", _SWEEP)

    def _elements(self, report: Report, check: TensorCheck) -> Iterator[Picture]:
        if check.elements is None or not check.elements.positions:
            return
        scale = elements.largest_of(check.elements)
        low = report.settings.bands[0]
        scatter = self._scatters.draw(check.elements, check.name, low, self._frame("scatter", ()))
        caption = f"Autograd against numeric, {check.name}; axes in units of {scale:.3g}, its largest element"
        yield Picture(Markup(scatter), caption, _SCATTER, wide=False)
        real = max(check.elements.positions) < math.prod(check.shape)
        shape = check.shape if real else (*check.shape, 2)  # real and imaginary parts are the last axis
        measured = len(check.elements.positions) / math.prod(shape)
        if measured < (1 if check.verdict is Verdict.GOOD else SPARSE):
            return
        heat = self._maps.draw(check.elements, shape, check.name)
        if heat is not None:
            yield Picture(Markup(heat), f"Where {check.name} disagrees", scale=elements.COLOURS)

    def _frame(self, kind: str, bands: tuple[float, ...]) -> str:
        return self._frames.setdefault((kind, bands), f"axes-{kind}-{len(self._frames)}")


def _training(run: TrainingReport) -> Iterator[Picture]:
    health = run.health
    yield from _picture(curves.loss(run), "Loss", (("line curve", "loss"), ("line failed", "where it failed")))
    legend = (("line total", "all together"), ("line shade0", "first layer"), ("line shade7", "last layer"))
    yield from _picture(curves.gradient_norms(run, health), "Gradient norms by layer and step", legend)
    samples = health.samples
    if samples:
        profiles = [("first", samples[0].layers), ("last", samples[-1].layers)][-len(samples) :]
        yield from _picture(layers.by_depth(profiles), f"Norms by depth, step {samples[-1].step}", _DEPTH)
        yield from _picture(layers.histograms(samples[-1].histograms), f"log₁₀ |gradient|, step {samples[-1].step}")
        yield from _picture(*_units(samples[-1].layers))
    limits = (("line limit warn", "in danger from 0.1"), ("line limit", "breaks from 1"))
    yield from _picture(curves.updates(health), "Largest update, relative to its weight", limits)


def _flow(flow: GradientFlow) -> Iterator[Picture]:
    yield from _picture(layers.by_depth([("last", flow.layers)]), "Norms by depth", _DEPTH[1:])
    yield from _picture(*_units(flow.layers))


def _units(found: tuple[LayerFlow, ...]) -> tuple[str | None, str, Legend]:
    legend = (("cell dead", "dead (ReLU)"), ("cell saturated", "saturated (tanh, sigmoid)"))
    return layers.units(found), "Dead and saturated units", legend


def _picture(drawn: str | None, caption: str, legend: Legend = ()) -> Iterator[Picture]:
    if drawn is not None:
        yield Picture(Markup(drawn), svg.printable(caption), legend)


def _badness(check: TensorCheck) -> tuple[int, float]:
    error = check.relative_error
    return -check.verdict.badness, -error if error == error else 0.0
