"""Path patterns of the configuration: `tests`, `*_pb2.py`, `examples/*.py`, `src/**/old`."""

from __future__ import annotations

import re
from functools import lru_cache

_PART = re.compile(r"\*\*/?|\*|\?|\[!?[^\]]+\]|.", re.DOTALL)


def matches(pattern: str, path: str) -> bool:
    """Whether a posix path relative to the configuration, or a folder above it, is meant by a pattern.

    A pattern without a slash is compared with each part of the path, one with a slash with the path from its beginning.
    """
    pattern = pattern.removeprefix("./").strip("/")
    parts = path.split("/")
    wanted = _compiled(pattern)
    if "/" not in pattern:
        return any(wanted.fullmatch(part) for part in parts)
    return any(wanted.fullmatch("/".join(parts[:length])) for length in range(1, len(parts) + 1))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(map(_translated, _PART.findall(pattern))), re.DOTALL)


def _translated(part: str) -> str:
    if part in ("**/", "**", "*", "?"):
        return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}[part]
    if len(part) > 1:
        return "[" + ("^" if part[1] == "!" else "") + re.escape(part[1:-1].removeprefix("!")).replace(r"\-", "-") + "]"
    return re.escape(part)
