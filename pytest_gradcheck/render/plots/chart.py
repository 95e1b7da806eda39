"""What the plots of training runs share: one size, one way to draw lines on linear and log axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pytest_gradcheck.render.plots import axes, svg
from pytest_gradcheck.render.plots.svg import MARK

SIZE = (420.0, 264.0)
#: Classes of lines that are ordered by depth, from the input to the output.
SHADES = 8


class Chart:
    """One plot with axes of its own.

    Args:
        y: Values to be shown, for the range of the axis; those that are not finite, or not positive on a log axis, do
            not count.
        x: The same for the x axis.
        log: Whether the y axis is logarithmic; a linear one starts at the smallest value.
        bottom, left: Margins in pixels.
    """

    def __init__(
        self,
        y: Sequence[float],
        x: tuple[float, float],
        log: bool = False,
        left: float = 52,
        bottom: float = 40,
        height: float = SIZE[1],
    ) -> None:
        self.height = height
        self.figure: Figure = svg.figure(SIZE[0], height)
        self.axes: Axes = axes.add(self.figure, left, 10, 18, bottom)
        self.log = log
        self.low, self.high = _range(y, log)
        self.axes.set(ylim=(self.low, self.high), xlim=x, yscale="log" if log else "linear")

    def ticks(self, x: str, y: str, whole: bool = True) -> None:
        """Draws both axes with these titles; `whole` for an x axis that counts."""
        axes.plain(self.axes.xaxis, *self.axes.get_xlim(), whole=whole)
        self.y_ticks()
        axes.titled(self.axes, x, y)

    def y_ticks(self) -> None:
        """Draws the y axis."""
        draw = axes.decades if self.log else axes.plain
        draw(self.axes.yaxis, self.low, self.high)

    def line(self, x: Sequence[float], y: Sequence[float], name: str, dots: bool = False) -> None:
        """A line through all points that can be shown; it breaks at those that cannot."""
        shown = [value if self._showable(value) else math.nan for value in y]
        if any(map(math.isfinite, shown)):
            # A single point makes no line, so it is drawn as a dot; several are dots on request.
            self.axes.plot(x, shown, gid=MARK + name)
            if dots or sum(map(math.isfinite, shown)) == 1:
                self.axes.plot(x, shown, marker="o", linestyle="", gid=f"{MARK}{name} dot")

    def level(self, value: float, name: str = "limit") -> None:
        """A horizontal line at a limit, where it lies in the range."""
        if self.low < value < self.high:
            self.axes.axhline(value, gid=MARK + name)

    def moment(self, x: float, name: str = "failed") -> None:
        """A vertical line at a step."""
        self.axes.axvline(x, gid=MARK + name)

    def svg(self, title: str) -> str:
        """The plot."""
        return svg.wrapped(svg.contents(self.figure), SIZE[0], self.height, title)

    def _showable(self, value: float) -> bool:
        return math.isfinite(value) and (value > 0 or not self.log)


def shade(place: int, count: int) -> str:
    """The class of a line by its depth: the first of `count` is nearest to the input."""
    return f"shade{place * SHADES // max(count, 1)}"


def steps(count: int) -> tuple[float, float]:
    """The x range of a run of so many steps."""
    return -0.5, max(count, 1) - 0.5


def _range(values: Sequence[float], log: bool) -> tuple[float, float]:
    shown = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not shown:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = min(shown), max(shown)
    if log:
        # At least one power of ten lies inside, or the axis would have no number.
        return 10 ** (math.floor(math.log10(low)) - 0.2), 10 ** (math.ceil(math.log10(high)) + 0.2)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin
