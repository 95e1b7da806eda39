"""Error against step, log-log: what truncation and noise do to the quotient, and what is left of it as a real error.

A right gradient draws a V: the error falls with the step until noise takes over. A wrong one stays on a plateau at the
height of its relative error, whatever the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        scale = _scale(sweep)
        steps, second = list(sweep.steps), list(sweep.quotients)
        fourth = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(second)]
        bars = [
            abs(best - fine) + 3 * sweep.noise / h for best, fine, h in zip(fourth, second[1:], steps, strict=False)
        ]
        ends = [ERRORS[0], sweep.noise / (STEPS[0] * scale)]
        artists = [
            *self._line([sweep.noise / (error * scale) for error in ends], ends, "noise"),
            *self._bars(
                steps[::2], [abs(q - sweep.autograd) / scale for q in fourth[::2]], [b / scale for b in bars[::2]]
            ),
            *self._line(steps, [abs(q - sweep.autograd) / scale for q in second], "second"),
            *self._line(steps, [abs(q - sweep.autograd) / scale for q in fourth], "fourth"),
        ]
        if math.isfinite(sweep.numeric) and math.isfinite(sweep.step):
            error, bar = abs(sweep.numeric - sweep.autograd) / scale, sweep.error_bar / scale
            artists += self._bars([sweep.step], [error], [bar], "best-bar")
            at = _inside(sweep.step, STEPS), _inside(error, ERRORS)
            artists += self._axes.plot(*([number] for number in at), marker="o", linestyle="", gid=f"{MARK}best")
        inner = svg.contents(self._figure)
        for artist in artists:
            artist.remove()
        title = f"Error of the numeric derivative against the step, along {sweep.where}"
        return svg.wrapped(inner, *SIZE, title, frame_name)

    def _line(self, x: Sequence[float], y: Sequence[float], name: str) -> list:  # type: ignore[type-arg]
        points = [
            (_inside(h, STEPS), _inside(error, ERRORS)) for h, error in zip(x, y, strict=False) if math.isfinite(error)
        ]
        return self._axes.plot(*zip(*points, strict=True), gid=MARK + name) if points else []

    def _bars(self, x: Sequence[float], y: Sequence[float], bars: Sequence[float], name: str = "bars") -> list:  # type: ignore[type-arg]
        rows = [row for row in zip(x, y, bars, strict=False) if all(map(math.isfinite, row))]
        if not rows:
            return []
        low = [_inside(error - bar, ERRORS) for _, error, bar in rows]
        high = [_inside(error + bar, ERRORS) for _, error, bar in rows]
        return [self._axes.vlines([_inside(h, STEPS) for h, *_ in rows], low, high, gid=MARK + name)]


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
