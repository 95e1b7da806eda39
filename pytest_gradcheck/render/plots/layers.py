"""Plots over the depth of a net: norms, histograms of gradients, dead and saturated units."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_gradcheck.model import Histogram, LayerFlow
from pytest_gradcheck.render.plots import axes
from pytest_gradcheck.render.plots.chart import Chart, shade
from pytest_gradcheck.render.plots.svg import MARK

#: Rows beyond which a plot by layer shows every so many of them.
ROWS = 24
#: Layers beyond which dots are left out.
DOTS = 40
#: Share of dead or saturated units from which a layer counts as sick.
SICK = 0.5


def by_depth(profiles: Sequence[tuple[str, Sequence[LayerFlow]]]) -> str | None:
    """Norms of weight gradients, and activations of the last profile, over the layers on a log axis.

    Args:
        profiles: Class of the line, and the layers in running order; of at least two layers with weights, or None.
    """
    rows = [(name, [layer for layer in layers if layer.gradient is not None]) for name, layers in profiles]
    rows = [row for row in rows if len(row[1]) > 1]
    values = [value for _, layers in rows for layer in layers for value in (layer.gradient, layer.activation)]
    if not any(value is not None and math.isfinite(value) and value > 0 for value in values):
        return None
    count = max(len(layers) for _, layers in rows)
    chart = Chart([value or 0.0 for value in values], (-0.5, count - 0.5), log=True, bottom=40)
    chart.line(range(len(rows[-1][1])), [layer.activation for layer in rows[-1][1]], "curve activation")
    for name, layers in rows:
        chart.line(range(len(layers)), [layer.gradient or 0.0 for layer in layers], f"curve {name}", count <= DOTS)
    chart.ticks("layer with weights, from the input to the output", "norm")
    return chart.svg("Gradient norms and activations by depth, log axis")


def histograms(found: Sequence[Histogram]) -> str | None:
    """One histogram of log10 |gradient| a parameter, from the input at the top to the output at the bottom."""
    rows = [each for each in found if each.parameter.endswith("weight") and each.counts]
    rows = rows or [each for each in found if each.counts]
    rows = rows[:: max(1, math.ceil(len(rows) / ROWS))]
    if not rows:
        return None
    low = min(each.lowest for each in rows)
    high = max(each.lowest + len(each.counts) * Histogram.WIDTH for each in rows)
    chart = Chart((0, len(rows)), (low - 0.3, high + 0.3), left=128, height=_height(len(rows)))
    chart.axes.set_ylim(len(rows) - 0.1, -1.0)
    for place, each in enumerate(rows):
        chart.axes.fill(*_outline(each, place), gid=f"{MARK}filled {shade(place, len(rows))}")
    axes.plain(chart.axes.xaxis, low - 0.3, high + 0.3, most=6, whole=True)
    axes.named(chart.axes.yaxis, range(len(rows)), [each.parameter for each in rows])
    axes.titled(chart.axes, "log₁₀ |gradient|", "")
    return chart.svg("Histograms of log10 |gradient| by parameter")


def units(layers: Sequence[LayerFlow]) -> str | None:
    """Shares of dead and of saturated units by layer; None for a net whose layers have neither."""
    rows = [layer for layer in layers if layer.dead is not None or layer.saturated is not None]
    rows = rows[:: max(1, math.ceil(len(rows) / ROWS))]
    if not rows:
        return None
    chart = Chart((0, 1), (0, 1), left=128, height=_height(len(rows)))
    chart.axes.set_ylim(len(rows) - 0.4, -0.6)
    for place, layer in enumerate(rows):
        kind, share = ("dead", layer.dead) if layer.dead is not None else ("saturated", layer.saturated)
        wide = min(max(share or 0.0, 0.004), 1.0)
        sick = " sick" if wide > SICK else ""
        box = (0, 0, wide, wide), (place - 0.34, place + 0.34, place + 0.34, place - 0.34)
        chart.axes.fill(*box, gid=f"{MARK}filled {kind}{sick}")
    chart.moment(SICK, "limit")
    axes.named(chart.axes.xaxis, (0, 0.25, 0.5, 0.75, 1), ("0", "25 %", "50 %", "75 %", "100 %"))
    axes.named(chart.axes.yaxis, range(len(rows)), [layer.module or "(the model)" for layer in rows])
    axes.titled(chart.axes, "share of units", "")
    return chart.svg("Dead and saturated units by layer")


def _height(rows: int) -> float:
    return 56.0 + max(4, rows) * 20


def _outline(found: Histogram, place: int) -> tuple[list[float], list[float]]:
    """The steps of a histogram standing on its row; neighbours may overlap by a little."""
    tallest = max(found.counts) or 1
    x, y = [found.lowest], [float(place) + 0.3]
    for k, count in enumerate(found.counts):
        top = place + 0.3 - 1.1 * count / tallest
        x += [found.lowest + k * Histogram.WIDTH, found.lowest + (k + 1) * Histogram.WIDTH]
        y += [top, top]
    return [*x, found.lowest + len(found.counts) * Histogram.WIDTH], [*y, place + 0.3]
