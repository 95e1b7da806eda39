"""IDX, the file format of MNIST and its relatives: a big-endian header of sizes, then the numbers.

Format: http://yann.lecun.com/exdb/mnist/ ("the IDX file format"). Two zero bytes, one byte that names the number type
(0x08: unsigned byte), one byte that counts the dimensions, then one 4-byte big-endian size a dimension.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, plain or gzipped (told by its content, not by its name).

    Args:
        path: The file.
        dimensions: How many dimensions it must have: 3 for images, 1 for labels.

    Returns:
        An array of dtype uint8 with that many dimensions.

    Raises:
        UsageProblem: The file cannot be read, is not IDX, holds another number type or another number of dimensions, or
            is longer or shorter than its header says. The message starts with the path.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise _problem(path, f"is not an IDX file: it starts with {content[:4].hex(' ') or 'nothing'}")
    kind, found = content[2], content[3]
    if kind != _UNSIGNED_BYTE:
        raise _problem(path, f"holds numbers of IDX type 0x{kind:02x}, but 0x08 (unsigned byte) is needed")
    if found != dimensions:
        raise _problem(path, f"has {found} dimensions in its header, but {_role(dimensions)} need {dimensions}")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise _problem(path, f"is cut off inside its header: {len(content)} bytes of {start}")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected = start + math.prod(shape)
    if len(content) != expected:
        sizes = " x ".join(map(str, shape))
        what = "is cut off" if len(content) < expected else "has bytes left over"
        raise _problem(path, f"{what}: its header says {sizes}, which is {expected} bytes, but it has {len(content)}")
    array: npt.NDArray[np.uint8] = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return array


def _role(dimensions: int) -> str:
    return {1: "labels", 3: "images"}.get(dimensions, "the data")


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except EOFError as error:
        raise _problem(path, "is cut off: its gzip stream ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _problem(path, f"is damaged: {error}") from error
    except OSError as error:
        raise _problem(path, f"cannot be read: {error.strerror or error}") from error


def _problem(path: Path, what: str) -> UsageProblem:
    return UsageProblem(f"{path} {what}")


def describe(array: npt.NDArray[Any]) -> str:
    """The sizes of an array as a message prints them, such as "800 x 28 x 28"."""
    return " x ".join(map(str, array.shape))
