"""Constant factors between two gradients, and where such a factor may come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

#: Relative distance within which a factor is taken for one of known origin.
NEAR = 1e-5


def factor(autograd: torch.Tensor, numeric: torch.Tensor) -> float | None:
    """The factor f with `autograd = f x numeric` in the least-squares sense; None where there is none."""
    square = float(numeric @ numeric)
    found = float(autograd @ numeric) / square if square else math.nan
    return found if math.isfinite(found) and found else None


def origin(value: float, sizes: Sequence[tuple[str, int]]) -> str:
    """The likely origin of a factor, in brackets and with a question mark; empty where none is known.

    Args:
        value: The factor.
        sizes: Sizes that it may be made of, by what they are called; several names may share a size.
    """
    for candidate, said in _known(sizes):
        if math.isclose(value, candidate, rel_tol=NEAR):
            return f" ({said}?)"
    return ""


def _known(sizes: Sequence[tuple[str, int]]) -> Iterator[tuple[float, str]]:
    yield 2.0, "a forgotten or doubled 2"
    yield 0.5, "a forgotten 2, or a 1/2 too many"
    yield -2.0, "a wrong sign and a 2"
    yield -0.5, "a wrong sign and a 1/2"
    by_size: dict[int, list[str]] = {}
    for name, size in sizes:
        if size > 2 and name not in by_size.setdefault(size, []):
            by_size[size].append(name)
    for size, names in by_size.items():
        which = f"{size} is {' or '.join(names)}"
        yield 1 / size, f"a mean where a sum belongs, {which}"
        yield float(size), f"a sum where a mean belongs, {which}"
        yield 1 / math.sqrt(size), f"a scale of 1/sqrt({size}) too many, {which}"
        yield math.sqrt(size), f"a scale of 1/sqrt({size}) forgotten, {which}"
        yield size / (size - 1), f"N - 1 where N belongs, N = {which}"
        yield (size - 1) / size, f"N where N - 1 belongs, N = {which}"
