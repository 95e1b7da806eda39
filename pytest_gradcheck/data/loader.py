"""Batches of Fashion-MNIST at any size, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from pytest_gradcheck.data import files, roots, standin
from pytest_gradcheck.data.download import fetch
from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SPLITS = ("train", "test")


class FashionMnist:
    """An iterable of `(images, labels)` batches: one pass over a split, which can be started again.

    Each pass draws its order from torch's global random generator, as a DataLoader does: the same seed gives the same
    order, and a second pass another one. Nothing is drawn when `shuffle` is False.

    Attributes:
        description: One line that says which data these are, real or drawn, and from where.
        real: False for the drawn stand-in.
        images: uint8 tensor (count, 28, 28).
        labels: int64 tensor (count,).
    """

    def __init__(
        self, source: files.Images, *, batch_size: int, size: int, scale: bool, shuffle: bool, device: torch.device
    ) -> None:
        self.description = source.description + ("" if scale else ", pixels 0..255")
        self.real = source.real
        self.images = torch.tensor(source.pixels)
        self.labels = torch.tensor(source.labels, dtype=torch.int64)
        self.batch_size, self.size, self.scale, self.shuffle, self.device = batch_size, size, scale, shuffle, device

    def __len__(self) -> int:
        """Batches in one pass; the last may be smaller."""
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        count = len(self.labels)
        order = torch.randperm(count) if self.shuffle else torch.arange(count)
        for start in range(0, count, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield self._pictures(self.images[chosen]), self.labels[chosen].to(self.device)

    def __repr__(self) -> str:
        return f"<{self.description}: batches of {self.batch_size} at {self.size} x {self.size}>"

    def _pictures(self, raw: torch.Tensor) -> torch.Tensor:
        pictures = raw.to(self.device, torch.float32).unsqueeze(1)
        if self.size != pictures.shape[-1]:
            # antialias only matters (and only costs) when shrinking
            shape, smaller = (self.size, self.size), self.size < pictures.shape[-1]
            pictures = F.interpolate(pictures, shape, mode="bilinear", align_corners=False, antialias=smaller)
        return pictures / 255 if self.scale else pictures


def fashion_mnist(
    batch_size: int = 32,
    size: int = 28,
    split: str = "train",
    scale: bool = True,
    *,
    root: str | os.PathLike[str] | None = None,
    shuffle: bool = True,
    device: str | torch.device = "cpu",
    download: bool = False,
) -> FashionMnist:
    """Fashion-MNIST in batches, or a drawn stand-in of ten silhouettes where the files are absent.

    The files are looked for in `root`, else in the environment variable `FASHION_MNIST_ROOT`, else in the user's cache
    directory; plain or gzipped, in torchvision's layout. Nothing is downloaded unless `download` allows it. The
    result's `description` says which data these are.

    Args:
        batch_size: Images in a batch.
        size: Height and width in pixels; other sizes than 28 are resized bilinearly.
        split: "train" or "test".
        scale: True for pixels in 0..1, False for 0..255 (the forgotten scaling).
        root: Folder with the files; naming one that lacks them is an error.
        shuffle: Whether each pass is shuffled by torch's global generator.
        device: Where the batches are put.
        download: Whether to fetch the files into the user's cache directory where no root is named and they are absent.

    Returns:
        An iterable of `(images, labels)`: float32 (batch, 1, size, size) and int64 (batch,).

    Raises:
        UsageProblem: An argument is out of range, a named root lacks the files, a file is damaged, or no mirror gave
            one.
    """
    if split not in SPLITS:
        raise UsageProblem(f'split is {split!r}, but it must be "train" or "test"')
    for name, value in (("batch_size", batch_size), ("size", size)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageProblem(f"{name} is {value!r}, but it must be a whole number of at least 1")
    if download and roots.named_root(root) is None and roots.find(None, split) is None:
        fetch()
    paths = roots.find(root, split)
    source = files.load(paths, split) if paths else standin.draw(split)
    where = torch.device(device)
    return FashionMnist(source, batch_size=batch_size, size=size, scale=scale, shuffle=shuffle, device=where)
