"""Element by element: autograd against numeric, and where in the tensor the two disagree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.colors import ListedColormap
from matplotlib.text import Text

from pytest_gradcheck.model.evidence import Elements
from pytest_gradcheck.render.plots import axes, svg
from pytest_gradcheck.render.plots.svg import MARK

SCATTER, HEAT = (264.0, 264.0), (420.0, 264.0)
#: Disagreement of an element, as a share of the largest gradient element: the ends of the colour scale.
COOL, HOT = 1e-12, 1.0
#: Elements of a tensor beyond which a map would be a blur.
MAPPED = 65_536
#: Dark to light, readable on white and on black: one colour for each two decades.
COLOURS = ("#30508c", "#3f7fb0", "#5cabb4", "#9cc98a", "#f0c04c", "#ee7f3a", "#d6314a")


def scatter_frame(name: str) -> str:
    """The axes of every scatter as a symbol: both derivatives as a share of the largest, and the line of agreement."""
    figure = svg.figure(*SCATTER)
    plot = axes.add(figure, 40, 8, 10, 40)
    plot.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
    plot.plot([-1.1, 1.1], [-1.1, 1.1], gid=f"{MARK}agree")
    for axis in (plot.xaxis, plot.yaxis):
        axes.named(axis, (-1, 0, 1), ("-1", "0", "1"))
    axes.titled(plot, "numeric", "autograd")
    return svg.symbol(svg.contents(figure), *SCATTER, name)


class Scatters:
    """Draws one scatter after the other in a shared figure."""

    def __init__(self) -> None:
        self._figure = svg.figure(*SCATTER)
        self._axes = axes.add(self._figure, 40, 8, 10, 40)
        axes.bare(self._axes)
        self._axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))

    def draw(self, elements: Elements, tensor: str, low: float, frame_name: str) -> str:
        """The plot of one tensor; elements that differ by more than `low`, and by more than their bars, stand out."""
        largest = largest_of(elements)
        agree: list[tuple[float, float]] = []
        differ: list[tuple[float, float]] = []
        for claim, gap, bar in zip(elements.autograd, elements.difference, elements.bars, strict=True):
            if math.isfinite(claim) and math.isfinite(gap):
                wrong = abs(gap) > max(3 * bar, low * (abs(claim) + abs(claim + gap)))
                (differ if wrong else agree).append(((claim + gap) / largest, claim / largest))
        artists = [
            axes.line(self._axes, [x for x, _ in points], [y for _, y in points], name, dots=True)
            for points, name in ((agree, "dot"), (differ, "dot off"))
        ]
        inner = svg.contents(self._figure)
        for artist in artists:
            artist.remove()
        title = f"Autograd against numeric derivative of {len(agree) + len(differ)} elements of {tensor}"
        return svg.wrapped(inner, *SCATTER, f"{title}: {len(differ)} off the line", frame_name)


class HeatMaps:
    """Draws one map of the disagreement after the other in a shared figure."""

    def __init__(self) -> None:
        self._figure = svg.figure(*HEAT)
        self._axes = axes.add(self._figure, 44, 8, 10, 40)
        axes.bare(self._axes)

    def draw(self, elements: Elements, shape: Sequence[int], tensor: str) -> str | None:
        """The map of one tensor; None where the tensor is too large for one, or has a single element."""
        rows, columns = grid(shape)
        if not 2 <= rows * columns <= MAPPED or max(elements.positions, default=0) >= rows * columns:
            return None
        cells = [[math.nan] * columns for _ in range(rows)]
        largest = largest_of(elements)
        for place, gap in zip(elements.positions, elements.difference, strict=True):
            cells[place // columns][place % columns] = _colour(abs(gap) / largest)
        scale: dict[str, Any] = {"vmin": -0.5, "vmax": len(COLOURS) - 0.5, "cmap": ListedColormap(COLOURS)}
        image = self._axes.imshow(cells, aspect="auto", interpolation="none", gid=f"{MARK}heat", **scale)
        artists = [image, *self._labels(shape, rows, columns)]
        inner = svg.contents(self._figure)
        for artist in artists:
            artist.remove()
        return svg.wrapped(inner, *HEAT, f"Where autograd and numeric derivative of {tensor} disagree")

    def _labels(self, shape: Sequence[int], rows: int, columns: int) -> list[Text]:
        """First and last index of each axis, and what the axes are."""
        below = [(0.0, "left", "0"), (0.5, "center", _columns(shape)), (1.0, "right", str(columns - 1))]
        style: dict[str, Any] = {"transform": self._axes.transAxes, "gid": f"{MARK}tick", "parse_math": False}
        labels = [self._axes.text(x, -0.03, said, ha=side, va="top", **style) for x, side, said in below]
        if rows > 1:
            ends = ((1.0, "top", "0"), (0.0, "bottom", str(rows - 1)))
            labels += [self._axes.text(-0.02, y, said, ha="right", va=side, **style) for y, side, said in ends]
            turned: dict[str, Any] = {"rotation": 90, "rotation_mode": "anchor", "ha": "center", "va": "bottom"}
            labels.append(self._axes.text(-0.03, 0.5, "axis 0", **turned, **style))
        return labels


def grid(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of the map: the first axis, and all others behind each other."""
    if len(shape) < 2:
        return 1, math.prod(shape)
    return shape[0], math.prod(shape[1:])


def largest_of(elements: Elements) -> float:
    """The largest finite derivative among the elements, by either way; 1 where all are zero."""
    pairs = zip(elements.autograd, elements.difference, strict=True)
    values = [abs(number) for claim, gap in pairs for number in (claim, claim + gap) if math.isfinite(number)]
    return max(values, default=0.0) or 1.0


def _colour(share: float) -> float:
    """The index of a disagreement's colour."""
    if not math.isfinite(share):
        return len(COLOURS) - 1
    decades = math.log10(max(share, COOL) / COOL) / math.log10(HOT / COOL)
    return min(int(decades * len(COLOURS)), len(COLOURS) - 1)


def _columns(shape: Sequence[int]) -> str:
    if len(shape) < 2:
        return "element"
    return "axis 1" if len(shape) == 2 else f"axes 1 to {len(shape) - 1}, one after the other"
