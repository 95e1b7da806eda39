"""Reading one split of Fashion-MNIST, and what its two files must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_gradcheck.data.idx import describe, read_idx
from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

_SIDE = 28
_CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Pictures and their labels, as read or drawn.

    Attributes:
        pixels: uint8, (count, 28, 28), 0 is background.
        labels: uint8, (count,), 0 to 9.
        description: One line that says what they are and where they come from.
        real: False for the drawn stand-in.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    description: str
    real: bool


def load(paths: tuple[Path, Path], split: str) -> Images:
    """Read one split and check that images and labels belong together.

    Raises:
        UsageProblem: A file is damaged, or counts, picture size or labels are not Fashion-MNIST's.
    """
    image_path, label_path = paths
    pixels, labels = read_idx(image_path, 3), read_idx(label_path, 1)
    if pixels.shape[1:] != (_SIDE, _SIDE):
        raise UsageProblem(f"{image_path} holds {describe(pixels)} pixels, but Fashion-MNIST's pictures are 28 x 28")
    if len(pixels) != len(labels):
        raise UsageProblem(f"{image_path} holds {len(pixels)} images, but {label_path} holds {len(labels)} labels")
    if not len(pixels):
        raise UsageProblem(f"{image_path} holds no images")
    if labels.max() >= _CLASSES:
        raise UsageProblem(f"{label_path} holds the label {labels.max()}, but Fashion-MNIST's labels are 0 to 9")
    return Images(pixels, labels, f"Fashion-MNIST, {len(pixels)} {split} images from {image_path.parent}", real=True)
