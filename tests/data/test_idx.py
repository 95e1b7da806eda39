"""IDX files as they come, and every way in which they can be broken."""

from __future__ import annotations

import gzip
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_gradcheck.data.idx import read_idx
from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def idx(*shape: int, kind: int = 8, payload: bytes | None = None) -> bytes:
    content = bytes(range(256)) * 20
    size = int(np.prod(shape))
    header = bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + (content[:size] if payload is None else payload)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reads_images_plain_and_gzipped_whatever_the_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "any-name"
    path.write_bytes(pack(idx(2, 3, 4)))
    array = read_idx(path, 3)
    assert array.dtype == np.uint8
    assert array.tolist() == np.arange(24).reshape(2, 3, 4).tolist()


BROKEN = {
    "empty": (b"", "is not an IDX file: it starts with nothing"),
    "text": (b"<html>not found</html>", "is not an IDX file: it starts with 3c 68 74 6d"),
    "floats": (idx(2, 3, 4, kind=0x0D), "holds numbers of IDX type 0x0d, but 0x08"),
    "labels instead of images": (idx(5), "has 1 dimensions in its header, but images need 3"),
    "cut in header": (idx(2, 3, 4)[:9], "is cut off inside its header: 9 bytes of 16"),
    "cut": (idx(2, 3, 4)[:-1], "is cut off: its header says 2 x 3 x 4, which is 40 bytes, but it has 39"),
    "too long": (idx(2, 3, 4) + b"x", "has bytes left over: its header says 2 x 3 x 4"),
    "gzip cut": (gzip.compress(idx(20, 10, 10))[:-12], "is cut off: its gzip stream ends early"),
    "gzip damaged": (gzip.compress(idx(20, 10, 10))[:-8] + b"\0" * 8, "is damaged: "),
    "gzip not deflate": (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 30, "is damaged: "),
    "gzip of text": (gzip.compress(b"hello"), "is not an IDX file: it starts with 68 65 6c 6c"),
}


@pytest.mark.parametrize("content,message", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_clear_error_with_its_path(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(UsageProblem) as caught:
        read_idx(path, 3)
    assert str(caught.value).startswith(f"{path} {message}")


def test_a_folder_in_its_place_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read: "):
        read_idx(tmp_path, 3)
