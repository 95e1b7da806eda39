"""The stand-in for Fashion-MNIST: drawn silhouettes with its mean and standard deviation, the same on every machine."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pytest_gradcheck.data.files import Images
from pytest_gradcheck.data.silhouettes import OUTLINES, Grid

#: Over all pixels of the real training set, in 0..1.
MEAN, DEVIATION = 0.286, 0.353
_COUNTS = {"train": 1000, "test": 200}
_SEEDS = {"train": 0, "test": 1}
_SIDE, _FINER = 28, 2


@lru_cache(maxsize=2)
def draw(split: str) -> Images:
    """The stand-in of one split: 1,000 ("train") or 200 ("test") pictures, all classes alike.

    Each picture is one of ten outlines, shifted, turned, stretched, shaded and striped at random. One tone curve over
    all of them brings the mean to 0.286 and the standard deviation to 0.353 (in 0..1), Fashion-MNIST's own.
    """
    generator = np.random.default_rng(_SEEDS[split])
    count = _COUNTS[split]
    labels = np.resize(np.arange(len(OUTLINES), dtype=np.uint8), count)
    tones = np.empty((count, _SIDE, _SIDE))
    for label, outline in enumerate(OUTLINES):
        chosen = labels == label
        x, y = _places(int(chosen.sum()), generator)
        fine = outline(x, y) * _shade(x, y, generator)
        tones[chosen] = fine.reshape(-1, _SIDE, _FINER, _SIDE, _FINER).mean(axis=(2, 4))
    order = generator.permutation(count)
    pixels, labels = _match(tones)[order], labels[order]
    pixels.flags.writeable = labels.flags.writeable = False  # shared between callers by the cache
    said = f"drawn stand-in for Fashion-MNIST, {count} {split} silhouettes (no data files found)"
    return Images(pixels, labels, said, real=False)


def _places(count: int, generator: np.random.Generator) -> tuple[Grid, Grid]:
    """Where each pixel of each picture lies in its outline's square: the inverse of a random placing."""
    middles = (np.arange(_SIDE * _FINER) + 0.5) / (_SIDE * _FINER) * 2 - 1
    y, x = np.meshgrid(middles, middles, indexing="ij")
    angle, shift_x, shift_y, stretch_x, stretch_y = (
        generator.uniform(low, high, (count, 1, 1))
        for low, high in ((-0.12, 0.12), (-0.08, 0.08), (-0.08, 0.08), (0.85, 1.08), (0.85, 1.08))
    )
    x, y = x - shift_x, y - shift_y
    turned_x, turned_y = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    return turned_x / stretch_x, turned_y / stretch_y


def _shade(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    """Tones in 0..1: a brightness a picture, a slope over it, stripes, and grain."""
    count = len(x)
    level, slope_x, slope_y, depth, pitch, phase = (
        generator.uniform(low, high, (count, 1, 1))
        for low, high in ((0.3, 1.0), (-0.25, 0.25), (-0.25, 0.25), (0.0, 0.25), (4.0, 16.0), (0.0, 6.3))
    )
    tones = level + slope_x * x + slope_y * y + depth * np.sin(pitch * y + phase)
    return np.asarray(np.clip(tones + generator.normal(0, 0.08, x.shape), 0.02, 1))


def _match(tones: Grid) -> npt.NDArray[np.uint8]:
    """Apply the tone curve `gain * tone ** gamma`, cut at 1, that gives the wanted mean and deviation."""
    counts, edges = np.histogram(tones, bins=2048, range=(0, 1))
    middles = np.where(np.arange(2048) == 0, 0, (edges[1:] + edges[:-1]) / 2)
    weights = counts / counts.sum()
    low, high = 0.05, 20.0
    for _ in range(60):
        gamma = (low * high) ** 0.5
        curve = np.minimum(_gain(middles**gamma, weights) * middles**gamma, 1)
        deviation = np.sqrt(weights @ curve**2 - (weights @ curve) ** 2)
        low, high = (gamma, high) if deviation < DEVIATION else (low, gamma)
    bent = tones**gamma
    curved = np.minimum(_gain(bent.ravel(), np.full(bent.size, 1 / bent.size)) * bent, 1)
    pixels: npt.NDArray[np.uint8] = np.rint(curved * 255).astype(np.uint8)
    return pixels


def _gain(tones: Grid, weights: Grid) -> float:
    """The factor that brings the weighted mean of the tones, cut at 1, to `MEAN`."""
    low, high = 1e-3, 1e3
    for _ in range(40):
        gain = (low * high) ** 0.5
        low, high = (gain, high) if weights @ np.minimum(gain * tones, 1) < MEAN else (low, gain)
    return float(gain)
