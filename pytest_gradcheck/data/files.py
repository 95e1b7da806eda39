"""Where Fashion-MNIST's four files may lie, and what they must agree on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from pytest_gradcheck.data.idx import describe, read_idx
from pytest_gradcheck.errors import UsageProblem

ENVIRONMENT = "FASHION_MNIST_ROOT"
_PREFIX = {"train": "train", "test": "t10k"}
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


def cache_root() -> Path:
    """The folder in the user's cache directory that is looked at when no root is named."""
    return Path(platformdirs.user_cache_dir("pytest-gradcheck", appauthor=False)) / "fashion-mnist"


def named_root(root: str | os.PathLike[str] | None) -> Path | None:
    """The root that the caller names, else the one in the environment variable `FASHION_MNIST_ROOT`, else None."""
    named = os.fspath(root) if root is not None else os.environ.get(ENVIRONMENT, "")
    return Path(named).expanduser() if named else None


def find(root: str | os.PathLike[str] | None, split: str) -> tuple[Path, Path] | None:
    """The image file and the label file of one split.

    Args:
        root: A folder in torchvision's layout (`ROOT/FashionMNIST/raw/...`), or its FashionMNIST or raw folder. None
            means the environment variable `FASHION_MNIST_ROOT`, then the user's cache directory.
        split: "train" or "test".

    Returns:
        The two paths, or None when no root is named and the cache has no files.

    Raises:
        UsageProblem: A root is named, but the files are not there: the message lists what was looked for.
    """
    named = named_root(root)
    start = named if named is not None else cache_root()
    names = [f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"]
    folders = [start / "FashionMNIST" / "raw", start / "raw", start]
    for folder in folders:
        found = [path for name in names if (path := _plain_or_gzipped(folder, name))]
        if len(found) == 2:
            return found[0], found[1]
    if named is None:
        return None
    looked = ", ".join(f"{name}[.gz]" for name in names)
    origin = f"the environment variable {ENVIRONMENT}" if root is None else "the Fashion-MNIST root"
    raise UsageProblem(
        f"{origin} is {named}, but that folder {'lacks files' if named.is_dir() else 'does not exist'}: looked for "
        f"{looked} in {folders[0]}, its raw folder and the folder itself. Unset it to use the drawn stand-in."
    )


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


def _plain_or_gzipped(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
