"""Edits of whole lines of code, for rules whose fix moves, adds or takes out a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from gradlint.model import Edit, Position, Range

if TYPE_CHECKING:
    from gradlint.rule import Context


def line_of(node: cst.CSTNode, ctx: Context) -> cst.SimpleStatementLine | None:
    """The line of a node that is one statement alone on it; None in a compound statement's head or beside others."""
    line = ctx.tree.statement(node)
    return line if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None


def block_line(node: cst.CSTNode, block: cst.CSTNode | None, ctx: Context) -> cst.CSTNode | None:
    """The statement of a block that a node stands in."""
    around = (node, *ctx.tree.ancestors(node))
    return next((each for each in around if ctx.tree.parent(each) is block), None)


def moved(
    line: cst.SimpleStatementLine, target: cst.CSTNode, ctx: Context, *, below: bool = False
) -> list[Edit | None]:
    """Move a statement, with the comment behind it, above (or below) a statement of its block.

    A None among the edits says that it cannot be moved: other lines, or nothing, would be left in its place.
    """
    span = ctx.range(line)
    first, last = span.start.line, span.end.line
    block = ctx.tree.parent(line)
    alone = not isinstance(block, (cst.IndentedBlock, cst.Module)) or len(block.body) < 2
    if alone or first != last or last >= len(ctx.source.line_starts):
        return [None]
    text = ctx.source.line(first)[span.start.column - 1 :]
    gone = Edit(Range(Position(first, 1), Position(last + 1, 1)), "")
    if below:
        return [gone, added_below(target, text, ctx) if isinstance(target, cst.SimpleStatementLine) else None]
    return [gone, added_above(target, text, ctx)]


def added_above(statement: cst.CSTNode, text: str, ctx: Context) -> Edit:
    """A new line of code above a statement."""
    return ctx.insert_line_above(statement, text)


def added_below(line: cst.SimpleStatementLine, text: str, ctx: Context) -> Edit | None:
    """A new line of code below a statement that ends its line."""
    span = ctx.range(line)
    written = ctx.source.line(span.end.line).rstrip("\r\n")
    indentation = ctx.source.line(span.start.line)[: span.start.column - 1]
    if indentation.strip():
        return None
    end = Position(span.end.line, len(written) + 1)
    return Edit(Range(end, end), f"{ctx.tree.module.default_newline}{indentation}{text}")
