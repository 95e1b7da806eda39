"""The text of files that are UTF-8 whatever they say inside: notebooks and Markdown."""

from __future__ import annotations

import codecs

from gradlint.errors import UnreadableFile


def decoded(data: bytes) -> tuple[str, bool]:
    """The text without its byte order mark, and whether it has one. Raises UnreadableFile."""
    has_bom = data.startswith(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8-sig"), has_bom
    except UnicodeDecodeError as problem:
        raise UnreadableFile(f"cannot be decoded: {problem}") from None


def encoded(text: str, *, has_bom: bool) -> bytes:
    """The bytes of a text. Raises UnicodeError."""
    return text.encode("utf-8-sig" if has_bom else "utf-8")
