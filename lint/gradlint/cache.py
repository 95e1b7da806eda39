"""Results of earlier runs, by content: what was linted, how, and what other files answered.

One file a project in the user's cache folder (`GRADLINT_CACHE_DIR` names another): no working tree is touched. It
begins with the digest of its content and of this gradlint: a damaged, foreign or older cache is as good as none. It is
replaced as a whole; of two runs at once one may lose what it learned, never more. Reading it needs no libcst.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlint import __version__
from gradlint.model import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradlint.project_files import Place
    from gradlint.settings import Plan

_DAY = 86_400
_KEPT_DAYS = 30
_MOST_ENTRIES = 100_000


def digest(data: bytes) -> str:
    """The name of a content."""
    return hashlib.sha256(data).hexdigest()[:32]


def key_of(data: bytes, name: str, place: Place, plan: Plan) -> str:
    """The name of one file under one plan."""
    return digest(f"{digest(data)}\n{name}\n{place.module}\n{place.is_package}\n{plan.key}".encode(errors="replace"))


class Cache:
    """The results of one project. `facts` are digests of files' facts by content, shared with the facts store."""

    def __init__(self, root: Path, facts: dict[str, str]) -> None:
        self._path = folder() / f"{digest(str(root).encode(errors='replace'))}.json"
        self._facts = facts
        self._today = int(time.time() // _DAY)
        entries, known = _read(self._path)
        self._entries: dict[str, list[Any]] = entries
        self._facts.update({key: value for key, value in known.items() if key not in facts})
        self._is_new = False

    def get(self, key: str, ask: Callable[[str], str | None]) -> tuple[Violation, ...] | None:
        """The violations of a file, if they are known and other files answer as they did."""
        try:
            day, needs, violations = self._entries[key]
            if any(ask(module) != answer for module, answer in needs.items()):
                return None
            found = tuple(Violation.from_dict(each) for each in violations)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        if day != self._today:
            self._is_new = self._is_new or self._today - day > _KEPT_DAYS // 4
            self._entries[key][0] = self._today
        return found

    def put(self, key: str, needs: dict[str, str | None], violations: tuple[Violation, ...]) -> None:
        """Remember the violations of a file."""
        self._entries[key] = [self._today, needs, [each.to_dict() for each in violations]]
        self._is_new = True

    def save(self) -> None:
        """Write what is new beside what others have written since; a cache that cannot be written is none."""
        if not self._is_new:
            return
        entries, facts = _read(self._path)
        entries.update(self._entries)
        kept = {key: entry for key, entry in entries.items() if self._today - entry[0] <= _KEPT_DAYS}
        newest = sorted(kept.items(), key=lambda item: item[1][0])[-_MOST_ENTRIES:]
        facts = dict([*facts.items(), *self._facts.items()][-_MOST_ENTRIES:])
        body = json.dumps({"entries": dict(newest), "facts": facts}, separators=(",", ":")).encode()
        from gradlint.writing import write_atomically

        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, _head(body) + body)


def folder() -> Path:
    """Where caches are kept."""
    if given := os.environ.get("GRADLINT_CACHE_DIR"):
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("gradlint", appauthor=False)


def _read(path: Path) -> tuple[dict[str, list[Any]], dict[str, str]]:
    try:
        data = path.read_bytes()
        head, body = data[: len(_head(b""))], data[len(_head(b"")) :]
        if head != _head(body):
            return {}, {}
        content = json.loads(body)
        entries, facts = content["entries"], content["facts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}, {}
    return entries, facts


def _head(body: bytes) -> bytes:
    return f"gradlint {digest(gradlint_digest().encode() + body)}\n".encode()


@lru_cache(maxsize=1)
def gradlint_digest() -> str:
    """This gradlint: its version, its files as they are on disk, the parser below it and the running Python."""
    here = Path(__file__).parent
    parts = (here, here / "documents", here / "rules", here / "semantics")
    files = sorted(path for part in parts for path in part.glob("*.py"))
    parser = find_spec("libcst")
    origin = Path(parser.origin) if parser is not None and parser.origin else here
    stats = [(path.name, stat.st_size, stat.st_mtime_ns) for path in (*files, origin) for stat in (path.stat(),)]
    return repr((__version__, sys.version_info[:2], stats))
