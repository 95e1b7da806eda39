from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.one_thread import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["one_thread"]


@pytest.fixture(autouse=True)
def no_data_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor the cache of whoever runs the tests may change what they see."""
    monkeypatch.delenv("FASHION_MNIST_ROOT", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))


@pytest.fixture
def write_split() -> Callable[..., Path]:
    """Writes a split of `count` pictures, whose pixels are all the number of the picture, into `folder`."""

    def write(folder: Path, count: int = 6, labels: list[int] | None = None, packed: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28)
        numbers = np.arange(count, dtype=np.uint8) % 10 if labels is None else np.array(labels, np.uint8)
        suffix, pack = (".gz", gzip.compress) if packed else ("", bytes)
        images = struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes()
        (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(pack(images))
        content = struct.pack(">2I", 0x801, len(numbers)) + numbers.tobytes()
        (folder / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(content))
        return folder

    return write
