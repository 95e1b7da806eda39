"""Where Fashion-MNIST's files may lie. Needs neither torch nor numpy, so that pytest's header may ask."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from pytest_gradcheck.errors import UsageProblem

ENVIRONMENT = "FASHION_MNIST_ROOT"
_PREFIX = {"train": "train", "test": "t10k"}


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


def summary(root: str | os.PathLike[str] | None = None) -> str:
    """One line for pytest's header: which Fashion-MNIST smoke runs will use. Never raises for a bad root."""
    try:
        found = find(root, "train")
    except UsageProblem:
        return f"Fashion-MNIST: none in {named_root(root)}, which is set as its root"
    return f"Fashion-MNIST: {found[0].parent}" if found else "Fashion-MNIST: no files found, a drawn stand-in is used"


def _plain_or_gzipped(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
