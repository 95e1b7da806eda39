"""Fetching Fashion-MNIST's four files from their official mirrors, verified, all or nothing a file.

The files and their MD5 sums are published in https://github.com/zalandoresearch/fashion-mnist; the SHA-256 sums below
are those of the same files. A mirror without encryption does no harm: what does not match its sum is thrown away.
"""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_gradcheck.data.roots import cache_root
from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: Called with a file's name, the bytes of it so far and its size in bytes.
    Progress = Callable[[str, int, int], None]

MIRRORS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)
#: Seconds without a single byte after which a mirror counts as stalled.
STALL = 20.0
_BLOCK = 1 << 16


class File(NamedTuple):
    """One file of the data set: its name, its size in bytes and its SHA-256 sum in hexadecimal."""

    name: str
    size: int
    sha256: str


FILES = (
    File("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    File("train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    File("t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    File("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)


class _MirrorFailed(Exception):
    """Why one mirror did not give one file, as the rest of a sentence that starts with its address."""


def fetch(
    folder: Path | None = None,
    progress: Progress | None = None,
    *,
    mirrors: Sequence[str] | None = None,
    files: Sequence[File] | None = None,
    stall: float = STALL,
) -> Path:
    """Bring the files into `folder`, from the first mirror that gives each of them whole.

    A file appears under its name only when it is complete and its sum is right, so that an interrupted download leaves
    nothing behind that could be read, and the next one goes on with the files that are missing.

    Args:
        folder: Where the files go; None means `FashionMNIST/raw` in the user's cache directory.
        progress: Called after every block with the file's name, its bytes so far and its size.
        mirrors: Addresses of folders, tried in this order for each file; None means `MIRRORS`.
        files: What to fetch; None means `FILES`.
        stall: Seconds without a byte after which the next mirror is tried.

    Returns:
        The folder that holds the files.

    Raises:
        UsageProblem: No mirror gave a file, or the folder cannot be written; the message says what each mirror did and
            where to put the files by hand.
    """
    folder = cache_root() / "FashionMNIST" / "raw" if folder is None else folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    for file in FILES if files is None else files:
        if not _intact(folder / file.name, file):
            _fetch_one(folder, file, MIRRORS if mirrors is None else mirrors, stall, progress or _silent)
    return folder


def _fetch_one(folder: Path, file: File, mirrors: Sequence[str], stall: float, progress: Progress) -> None:
    failures = []
    for mirror in mirrors:
        address = f"{mirror}/{file.name}"
        try:
            content = _read(address, file, stall, progress)
        except _MirrorFailed as failure:
            failures.append(f"  {address} {failure}")
            continue
        _write(folder / file.name, content)
        return
    raise UsageProblem(
        f"{file.name} of Fashion-MNIST could not be downloaded:\n" + "\n".join(failures) + "\nTry again (files that "
        f"are complete are kept), or put the four files into {folder} by hand. Without --fashion-mnist-download a "
        "drawn stand-in is used."
    )


def _read(address: str, file: File, stall: float, progress: Progress) -> bytes:
    """The content behind an address, if it is the file's: never more than one byte above its size is held."""
    content = bytearray()
    try:
        with urllib.request.urlopen(address, timeout=stall) as answer:
            while block := answer.read(min(_BLOCK, file.size + 1 - len(content))):
                content += block
                progress(file.name, len(content), file.size)
    except urllib.error.HTTPError as error:
        raise _MirrorFailed(f"answers {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise _MirrorFailed(f"stalled: no byte for {stall:g} s after {len(content)} of {file.size}") from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _MirrorFailed(f"does not answer within {stall:g} s") from error
        raise _MirrorFailed(f"cannot be reached: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorFailed(f"broke off after {len(content)} of {file.size} bytes: {error}") from error
    if len(content) < file.size:
        raise _MirrorFailed(f"ended after {len(content)} of {file.size} bytes")
    if len(content) > file.size:
        raise _MirrorFailed(f"sends more than the file's {file.size} bytes")
    if (found := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise _MirrorFailed(f"sent other content: its SHA-256 is {found}, the file's is {file.sha256}")
    return bytes(content)


def _write(path: Path, content: bytes) -> None:
    """Put a whole file in place by one rename; several processes may do so at once."""
    part = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as handle:
            part = Path(handle.name)
            handle.write(content)
        part.replace(path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)  # after the rename there is nothing of that name


def _intact(path: Path, file: File) -> bool:
    try:
        return path.stat().st_size == file.size and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def _unwritable(folder: Path, error: OSError) -> UsageProblem:
    return UsageProblem(f"Fashion-MNIST cannot be written to {folder}: {error.strerror or error}")


def _silent(name: str, done: int, size: int) -> None:
    """The progress of a caller who wants none."""
