"""Axes that read well on a phone and in both themes: few ticks, plain text, a light grid, no box."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from pytest_gradcheck.render.plots.svg import MARK, printable

#: Characters of a label from the user beyond which it is cut.
LABEL = 24
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def add(figure: Figure, left: float, top: float, right: float, bottom: float) -> Axes:
    """Axes inside margins of some pixels."""
    width, height = figure.get_size_inches() * 72
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def bare(axes: Axes) -> None:
    """Hides everything but what is plotted: the axes are drawn elsewhere."""
    axes.set_axis_off()
    axes.patch.set_visible(False)


def line(axes: Axes, x: Sequence[float], y: Sequence[float], name: str, dots: bool = False) -> Line2D:
    """A line, or dots, of a class: `Axes.plot` without its search for limits, which takes most of its time."""
    style: dict[str, Any] = {"marker": "o", "linestyle": ""} if dots else {}
    drawn = Line2D(x, y, gid=MARK + name, **style)
    axes.add_artist(drawn)
    return drawn


def decades(axis: Axis, low: float, high: float, most: int = 6) -> None:
    """Ticks at powers of ten, `most` of them at the most."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / most))
    powers = list(range(first, last + 1, stride))
    named(axis, [10.0**power for power in powers], [power_of_ten(power) for power in powers])


def plain(axis: Axis, low: float, high: float, most: int = 5, whole: bool = False) -> None:
    """Ticks at round numbers between two bounds."""
    ticks = [tick for tick in MaxNLocator(most, integer=whole).tick_values(low, high) if low <= tick <= high]
    named(axis, ticks, [f"{tick:g}" for tick in ticks])


def named(axis: Axis, places: Sequence[float], labels: Iterable[str]) -> None:
    """Ticks at given places with given labels, which are shown as they are."""
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FixedFormatter([shortened(label) for label in labels]))
    axis.set_tick_params(length=0, pad=5, labelsize=11)
    axis.grid(visible=True)
    for tick in axis.get_major_ticks():
        tick.gridline.set_gid(f"{MARK}grid")
        tick.label1.set_gid(f"{MARK}tick")
        tick.label1.set_parse_math(False)


def titled(axes: Axes, x: str, y: str) -> None:
    """Says what the axes are."""
    for label, text in ((axes.xaxis.label, x), (axes.yaxis.label, y)):
        label.set(text=text, gid=f"{MARK}label", parse_math=False, size=11)


def power_of_ten(power: int) -> str:
    """ "10⁻⁵", in characters that need no layout of formulas."""
    return f"10{str(power).translate(_RAISED)}"


def shortened(text: str) -> str:
    """A label from the user, on one line and of bounded length; its end tells layers apart, so that stays."""
    line = " ".join(printable(text).split())
    return line if len(line) <= LABEL else f"…{line[1 - LABEL :]}"
