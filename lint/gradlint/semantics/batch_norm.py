"""Which names of torch are normalisations with running statistics, and where they take eps and momentum."""

from __future__ import annotations

import re
from typing import Final

_RUNNING: Final = re.compile(r"^torch\.nn\.(?:Lazy)?(?:Batch|Instance)Norm\dd$|^torch\.nn\.SyncBatchNorm$")


def is_running_norm(name: str | None) -> bool:
    """Whether a full name is a BatchNorm or InstanceNorm class."""
    return name is not None and _RUNNING.match(name) is not None


def eps_index(name: str) -> int:
    """The position of `eps`; `momentum` comes after it. The lazy classes have no number of features."""
    return 0 if ".Lazy" in name else 1


def keeps_by_itself(name: str) -> bool:
    """Whether it keeps running statistics unless told otherwise: InstanceNorm does not."""
    return "InstanceNorm" not in name
