"""Ten outlines, one a class of Fashion-MNIST, as tests on points of the square -1..1 (x to the right, y downwards)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Grid = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Knots = Sequence[tuple[float, float]]


def _curve(at: Grid, knots: Knots) -> Grid:
    """The polyline through `knots`, minus infinity outside of them."""
    places, values = zip(*knots, strict=True)
    curve: Grid = np.interp(at, places, values, left=-np.inf, right=-np.inf)
    return curve


def _body(x: Grid, y: Grid, half_widths: Knots) -> Mask:
    return np.asarray(np.abs(x) <= _curve(y, half_widths))


def _bar(x: Grid, y: Grid, start: tuple[float, float], end: tuple[float, float], width: float) -> Mask:
    """Points within half a width of a segment."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    distance = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    return np.asarray(distance <= width / 2)


def _above(x: Grid, y: Grid, upper: Knots, lower: float) -> Mask:
    """Points between a floor `lower` and the height `upper`, given as (x, height above the floor)."""
    return np.asarray((y <= lower) & (lower - y <= _curve(x, upper)))


def _t_shirt(x: Grid, y: Grid) -> Mask:
    sleeve = _bar(np.abs(x), y, (0.45, -0.65), (0.82, -0.3), 0.34)
    return _body(x, y, [(-0.85, 0.35), (-0.7, 0.52), (0.85, 0.5)]) | sleeve


def _trouser(x: Grid, y: Grid) -> Mask:
    return _body(x, y, [(-0.95, 0.36), (0.95, 0.42)]) & ~_body(x, y, [(-0.45, 0.0), (0.95, 0.14)])


def _pullover(x: Grid, y: Grid) -> Mask:
    sleeve = _bar(np.abs(x), y, (0.5, -0.62), (0.76, 0.72), 0.28)
    return _body(x, y, [(-0.85, 0.3), (-0.7, 0.52), (0.8, 0.46)]) | sleeve


def _dress(x: Grid, y: Grid) -> Mask:
    return _body(x, y, [(-0.95, 0.26), (-0.3, 0.2), (0.95, 0.58)])


def _coat(x: Grid, y: Grid) -> Mask:
    sleeve = _bar(np.abs(x), y, (0.5, -0.66), (0.78, 0.6), 0.32)
    front = _body(x, y, [(-0.95, 0.16), (-0.2, 0.05), (0.95, 0.05)])
    return (_body(x, y, [(-0.92, 0.4), (0.95, 0.56)]) | sleeve) & ~front


def _sandal(x: Grid, y: Grid) -> Mask:
    sole = _bar(x, y, (-0.85, 0.3), (0.85, 0.5), 0.24)
    straps = _bar(x, y, (-0.7, -0.35), (-0.1, 0.4), 0.14) | _bar(x, y, (0.65, 0.4), (0.1, -0.1), 0.14)
    return sole | straps | _bar(x, y, (-0.7, -0.35), (-0.75, 0.3), 0.14)


def _shirt(x: Grid, y: Grid) -> Mask:
    sleeve = _bar(np.abs(x), y, (0.42, -0.7), (0.68, 0.35), 0.24)
    return (_body(x, y, [(-0.9, 0.42), (0.9, 0.42)]) | sleeve) & ~_body(x, y, [(-0.9, 0.22), (-0.5, 0.0)])


def _sneaker(x: Grid, y: Grid) -> Mask:
    return _above(x, y, [(-0.9, 0.55), (-0.45, 0.75), (0.1, 0.5), (0.6, 0.35), (0.92, 0.2)], 0.45)


def _bag(x: Grid, y: Grid) -> Mask:
    radius = np.hypot(x, (y + 0.15) * 0.9)
    return _body(x, y, [(-0.2, 0.75), (0.8, 0.85)]) | ((radius >= 0.42) & (radius <= 0.56) & (y < -0.1))


def _boot(x: Grid, y: Grid) -> Mask:
    return _above(x, y, [(-0.7, 1.6), (-0.05, 1.6), (0.0, 0.85), (0.6, 0.55), (0.88, 0.3)], 0.8)


#: In the order of Fashion-MNIST's labels.
OUTLINES: tuple[Callable[[Grid, Grid], Mask], ...] = (
    _t_shirt, _trouser, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _boot,
)  # fmt: skip
