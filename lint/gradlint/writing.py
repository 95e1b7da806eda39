"""Writes a file as a whole or not at all: to a file beside it, then renamed over it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of a file, keeping its mode and, where allowed, its owner. Raises OSError.

    A link is followed, so that it stays a link. Whenever the process ends, the file is either old or new.
    """
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".gradlint", dir=target.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, beside)
            _copy_owner(target, beside)
        else:
            beside.chmod(0o666 & ~_umask())
        beside.replace(target)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _copy_owner(target: Path, beside: Path) -> None:
    there, here = target.stat(), beside.stat()
    if hasattr(os, "chown") and (there.st_uid, there.st_gid) != (here.st_uid, here.st_gid):
        with suppress(OSError):
            os.chown(beside, there.st_uid, there.st_gid)
            beside.chmod(there.st_mode & 0o7777)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
