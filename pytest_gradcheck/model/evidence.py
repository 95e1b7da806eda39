"""What a check measured, thinned for pictures: plain data, rounded to what a reader can see."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_gradcheck.model.jsonable import decode_number

#: Elements kept of a tensor that is GOOD, and of one that is not.
KEPT_GOOD, KEPT = 64, 1024


@dataclass(frozen=True)
class Elements:
    """Elements of one tensor that were measured one by one.

    Attributes:
        positions: Flat positions in the tensor (a complex tensor counts its real and imaginary parts), shape (n,).
        autograd: Their derivatives from autograd, to 6 digits.
        difference: `numeric - autograd`, to 4 digits: kept by itself because it is far smaller than either.
        bars: Error bars of the numeric derivatives, to 2 digits.
    """

    positions: tuple[int, ...]
    autograd: tuple[float, ...]
    difference: tuple[float, ...]
    bars: tuple[float, ...]

    @classmethod
    def of(
        cls,
        positions: Iterable[int],
        autograd: Iterable[float],
        numeric: Iterable[float],
        bars: Iterable[float],
        most: int = KEPT,
    ) -> Elements:
        """At most `most` elements: the one that differs most, and others evenly spread; numbers rounded."""
        rows = sorted(zip(positions, autograd, numeric, bars, strict=True))
        if len(rows) > most:
            worst = max(rows, key=lambda row: abs(row[2] - row[1]) if math.isfinite(row[2] - row[1]) else math.inf)
            rows = sorted({rows[k * len(rows) // (most - 1)] for k in range(most - 1)} | {worst})
        return cls(
            tuple(place for place, *_ in rows),
            tuple(rounded(claim, 6) for _, claim, *_ in rows),
            tuple(rounded(value - claim, 4) for _, claim, value, _ in rows),
            tuple(rounded(bar, 2) for *_, bar in rows),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Elements:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        numbers = (tuple(map(decode_number, data[key])) for key in ("autograd", "difference", "bars"))
        return cls(tuple(data["positions"]), *numbers)


@dataclass(frozen=True)
class Sweep:
    """The numeric derivative along one line, over many step sizes.

    Attributes:
        where: The line, such as 'weight[3, 1]' or "a random direction through all tensors".
        autograd: What autograd claims along it.
        numeric: The best estimate; nan where there is none.
        error_bar: The error that this estimate claims, in the unit of `numeric`.
        step: The step it came from; nan where there is none.
        noise: Error of one value of the function, in units of the function.
        steps: Steps of the central quotients, each half the one before it; in units of the input.
        quotients: `(J(t + h) - J(t - h)) / (2 h)` at each step h; nan off the domain.
    """

    where: str
    autograd: float
    numeric: float
    error_bar: float
    step: float
    noise: float
    steps: tuple[float, ...]
    quotients: tuple[float, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sweep:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        single = {key: decode_number(data[key]) for key in ("autograd", "numeric", "error_bar", "step", "noise")}
        lists = {key: tuple(map(decode_number, data[key])) for key in ("steps", "quotients")}
        return cls(where=data["where"], **single, **lists)  # type: ignore[arg-type]


def rounded(value: float, digits: int) -> float:
    """A number to some significant digits; non-finite ones stay."""
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value
