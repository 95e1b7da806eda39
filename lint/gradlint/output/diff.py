"""What fixes would change, as a unified diff that `patch` and `git apply` read."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from gradlint.documents import raw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradlint.run import Changed

_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def render(changed: Iterable[Changed]) -> str:
    """The diffs of all files, each in its own encoding's text; newlines as they are in the file."""
    return "".join(map(_one, changed))


def _one(change: Changed) -> str:
    before, after = (raw(data, change.name) for data in (change.old, change.new))
    old, new = _LINES.findall(before), _LINES.findall(after)
    lines = difflib.unified_diff(old, new, change.name, change.name)
    return "".join(line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n" for line in lines)
