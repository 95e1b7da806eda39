"""Where nodes stand in the text, computed for a whole file at once and only when someone asks.

libcst stores no positions; they follow from writing the tree out again. One pass that counts code points costs about
half of parsing, a tenth of libcst's own provider, and is paid only by files with a violation.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from libcst._nodes.internal import CodegenState

from gradlint.model import Range

if TYPE_CHECKING:
    from collections.abc import Iterator

    import libcst as cst

    from gradlint.source import Source

Span = tuple[int, int]


class _Counter(CodegenState):
    """Writes nothing, counts code points, and notes where each node begins and ends."""

    def __init__(self, module: cst.Module) -> None:
        super().__init__(default_indent=module.default_indent, default_newline=module.default_newline)
        self.offset = 0
        self.inner: dict[cst.CSTNode, Span] = {}
        self.outer: dict[cst.CSTNode, Span] = {}
        self._begun: list[int] = []

    def add_token(self, value: str) -> None:
        self.tokens = [value]  # Module looks whether anything was written
        self.offset += len(value)

    def add_indent_tokens(self) -> None:
        self.offset += sum(map(len, self.indent_tokens))

    def before_codegen(self, node: cst.CSTNode) -> None:  # noqa: ARG002 - the base class calls it so
        self._begun.append(self.offset)

    def after_codegen(self, node: cst.CSTNode) -> None:
        self.outer[node] = span = (self._begun.pop(), self.offset)
        self.inner.setdefault(node, span)

    @contextmanager
    def record_syntactic_position(
        self, node: cst.CSTNode, *, start_node: cst.CSTNode | None = None, end_node: cst.CSTNode | None = None
    ) -> Iterator[None]:
        start = self.offset
        yield
        self.inner[node] = (
            self.inner[start_node][0] if start_node is not None else start,
            self.inner[end_node][1] if end_node is not None else self.offset,
        )


class Positions:
    """The ranges of a module's nodes; the first question computes them all."""

    def __init__(self, source: Source, module: cst.Module) -> None:
        self._source = source
        self._module = module
        self._counter: _Counter | None = None

    def _counted(self) -> _Counter:
        if self._counter is None:
            counter = _Counter(self._module)
            self._module._codegen(counter)
            self._counter = counter
        return self._counter

    def span(self, node: cst.CSTNode) -> Span:
        """Start and end offset without the parentheses around an expression, blank lines or comments around it."""
        return self._counted().inner[node]

    def outer_span(self, node: cst.CSTNode) -> Span:
        """Start and end offset with all that the node owns: the parentheses around an expression, too."""
        return self._counted().outer[node]

    def range(self, node: cst.CSTNode) -> Range:
        """Where a node stands, without the parentheses around it."""
        return self.between(*self.span(node))

    def outer_range(self, node: cst.CSTNode) -> Range:
        """Where a node stands, with the parentheses around it."""
        return self.between(*self.outer_span(node))

    def between(self, start: int, end: int) -> Range:
        """The range of two offsets."""
        return Range(self._source.position(start), self._source.position(end))
