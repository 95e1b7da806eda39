"""The kinds of files that hold Python: `.py`, `.ipynb`, `.md`; each is read to a `Document`.

None imports libcst before its code is asked for: what a run already knows can be shown without the parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradlint.documents.document import Script

if TYPE_CHECKING:
    from gradlint.documents.document import Document
    from gradlint.source import Source

NOTEBOOK: Final = ".ipynb"
SUFFIXES: Final = (".py", NOTEBOOK, ".md")


def read(data: bytes, path: str, *, module: str = "__main__", is_package: bool = False) -> Document:
    """The document of these bytes, by the suffix of its path; of Python where that says nothing else.

    Raises UnreadableFile.
    """
    if path.endswith(NOTEBOOK):
        from gradlint.documents.notebook import Notebook

        return Notebook.read(data, path)
    if path.endswith(".md"):
        from gradlint.documents.markdown import Markdown

        return Markdown.read(data, path)
    return Script.read(data, path, module, is_package=is_package)


def shown(data: bytes, path: str) -> Source:
    """The text in which the positions of violations stand. Raises UnreadableFile."""
    return read(data, path).shown


def raw(data: bytes, path: str) -> str:
    """The whole text of a file. Raises UnreadableFile."""
    if path.endswith(SUFFIXES[1:]):
        from gradlint.documents.text import decoded

        return decoded(data)[0]
    return Script.read(data, path, "__main__", is_package=False).source.text
