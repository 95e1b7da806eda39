"""Error against step, log-log: what truncation and noise do to the quotient, and what is left of it as a real error.

A right gradient draws a V: the error falls with the step until noise takes over. A wrong one stays on a plateau at the
height of its relative error, whatever the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pytest_gradcheck.model.evidence import Sweep
from pytest_gradcheck.render.plots import axes, svg
from pytest_gradcheck.render.plots.svg import MARK

SIZE = (420.0, 264.0)
#: The same for every plot, so that checks compare at a glance: steps in units of the input, relative errors.
STEPS, ERRORS = (1e-10, 3.0), (1e-16, 30.0)


def frame(bands: Sequence[float], name: str) -> str:
    """The axes as a symbol of this name, with the bands behind them."""
    figure = svg.figure(*SIZE)
    plot = _axes(figure)
    low, high = bands
    for bottom, top, verdict in ((ERRORS[0], low, "good"), (low, high, "suspicious"), (high, ERRORS[1], "wrong")):
        plot.axhspan(bottom, top, gid=f"{MARK}band {verdict}")
    axes.decades(plot.xaxis, *STEPS, most=6)
    axes.decades(plot.yaxis, *ERRORS, most=6)
    axes.titled(plot, "step h", "relative error")
    return svg.symbol(svg.contents(figure), *SIZE, name)


class Sweeps:
    """Draws one sweep after the other; they share a figure, which takes longer to make than a curve."""

    def __init__(self) -> None:
        self._figure = svg.figure(*SIZE)
        self._axes = _axes(self._figure)
        axes.bare(self._axes)

    def draw(self, sweep: Sweep, frame_name: str) -> str:
        """The plot of one sweep, over the axes of that name."""
        artists = [axes.line(self._axes, x, y, name, dots=name == "best") for x, y, name in _lines(sweep) if x]
        inner = svg.contents(self._figure)
        for artist in artists:
            artist.remove()
        title = f"Error of the numeric derivative against the step, along {sweep.where}"
        return svg.wrapped(inner, *SIZE, title, frame_name)


def _lines(sweep: Sweep) -> Iterator[tuple[list[float], list[float], str]]:
    """Steps, relative errors and class of everything to be drawn, in drawing order."""
    scale = _scale(sweep)
    steps, second = list(sweep.steps), list(sweep.quotients)
    fourth = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
    bars = [abs(best - fine) + 3 * sweep.noise / h for best, fine, h in zip(fourth, second[1:], steps, strict=False)]
    errors = [abs(quotient - sweep.autograd) / scale for quotient in fourth]
    if sweep.noise > 0:
        ends = [ERRORS[0], max(ERRORS[0], sweep.noise / (STEPS[0] * scale))]
        yield *_shown([sweep.noise / (error * scale) for error in ends], ends), "noise"
    yield *_bars(steps[::2], errors[::2], [bar / scale for bar in bars[::2]]), "bars"
    yield *_shown(steps, [abs(quotient - sweep.autograd) / scale for quotient in second]), "second"
    yield *_shown(steps, errors), "fourth"
    error, bar = abs(sweep.numeric - sweep.autograd) / scale, sweep.error_bar / scale
    if math.isfinite(sweep.step):
        yield *_bars([sweep.step], [error], [bar]), "best-bar"
        yield *_shown([sweep.step], [error]), "best"


def _shown(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points that are numbers, moved to the rim where they lie outside."""
    points = [(h, error) for h, error in zip(x, y, strict=False) if math.isfinite(error)]
    return [_inside(h, STEPS) for h, _ in points], [_inside(error, ERRORS) for _, error in points]


def _bars(x: Sequence[float], y: Sequence[float], bars: Sequence[float]) -> tuple[list[float], list[float]]:
    """Upright strokes from `y - bar` to `y + bar`, as one line with gaps."""
    rows = [row for row in zip(x, y, bars, strict=False) if all(map(math.isfinite, row))]
    across = [place for h, *_ in rows for place in (_inside(h, STEPS), _inside(h, STEPS), math.nan)]
    ends = [(_inside(error - bar, ERRORS), _inside(error + bar, ERRORS), math.nan) for _, error, bar in rows]
    return across, [place for row in ends for place in row]


def _axes(figure: Figure) -> Axes:
    plot = axes.add(figure, 52, 8, 10, 40)
    plot.set(xscale="log", yscale="log", xlim=STEPS, ylim=ERRORS)
    return plot


def _scale(sweep: Sweep) -> float:
    """The denominator of the relative error; 1 where both derivatives are zero."""
    known = [abs(value) for value in (sweep.numeric, sweep.autograd) if math.isfinite(value)]
    return sum(known) or 1.0


def _inside(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)
