"""gradlint as a plugin of flake8: `flake8 --select GRD`, or `extend-select = GRD` in its configuration.

It is silent until flake8 is told of GRD: who installed this package for its tests has not asked for it. (What flake8
itself calls off by default could not be had by `--select`.) What runs, and at which level, is decided by
`[tool.gradlint]` as on its own command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from gradlint import __version__

if TYPE_CHECKING:
    import argparse
    import ast
    from collections.abc import Iterator

_PREFIX: Final = "GRD"


class Plugin:
    """What flake8 creates for each file."""

    name: ClassVar = "gradlint"
    version: ClassVar = __version__
    _selectors: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tree: ast.AST, filename: str, lines: list[str]) -> None:  # noqa: ARG002 - flake8 asks for an AST
        self._filename = filename
        self._lines = lines

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Take the selectors that mean gradlint's codes."""
        given = (getattr(options, name, None) or () for name in ("select", "extend_select"))
        cls._selectors = tuple(code for codes in given for code in codes if _PREFIX.startswith(code[: len(_PREFIX)]))

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Line from 1, column from 0, text, and who says so."""
        if not self._selectors:
            return
        from gradlint.run import Request, Run
        from gradlint.settings import CodeLists

        codes = CodeLists(extend_select=tuple(code for code in self._selectors if len(code) > len(_PREFIX)))
        name = None if self._filename in ("-", "stdin") else self._filename
        request = Request(("-",), codes, use_cache=False, stdin_filename=name)
        for violation in Run(request, self._data, Path.cwd()).report().violations:
            line, column = violation.range.start
            yield line, column - 1, f"{violation.code} {violation.message}", Plugin

    def _data(self) -> bytes:
        """The bytes, in which an encoding may be declared; what an editor pipes in is read by flake8."""
        try:
            return Path(self._filename).read_bytes()
        except OSError:
            return "".join(self._lines).encode(errors="replace")
