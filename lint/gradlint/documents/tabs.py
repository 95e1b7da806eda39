"""Courses that show one lesson in several frameworks: what of their code is for torch.

The books of d2l.ai mark blocks with `#@tab pytorch` or `%%tab pytorch`, and lines with `if tab.selected('pytorch'):`.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, Final

from gradlint.documents.blocks import LINE, blank
from gradlint.documents.magics import is_torch_tab

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradlint.documents.fences import Fence

_TAG: Final = re.compile(r"\s*#\s*@tab\s+(?P<names>[^\r\n]+)")


def has_tags(blocks: Sequence[Fence]) -> bool:
    """Whether some block is marked with `#@tab`: one without a mark is then for the first framework, not torch."""
    return any(block.is_run and _TAG.match(block.text) for block in blocks)


def is_for_torch(block: Fence, *, tagged: bool) -> bool:
    """Whether a block is for torch, or for every framework."""
    tag = _TAG.match(block.text)
    if tag is not None:
        return is_torch_tab(tag["names"])
    return not (tagged and block.is_run)


def without_other_branches(code: str) -> str:
    """The code without what `if tab.selected(...):` runs for other frameworks; its lines stay."""
    if "tab.selected" not in code:
        return code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    lines = LINE.findall(code)
    for branch in _other_branches(tree):
        first, last = branch.body[0], branch.body[-1]
        if first.lineno == branch.lineno:
            continue  # `if ...: statement` on one line
        indentation = lines[first.lineno - 1][: first.col_offset]
        end = (last.end_lineno or first.lineno) + 1
        for number in range(first.lineno, end):
            lines[number - 1] = blank(lines[number - 1])
        lines[first.lineno - 1] = f"{indentation}pass{lines[first.lineno - 1]}"
    return "".join(lines)


def _other_branches(tree: ast.Module) -> Iterator[ast.If]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Call) and _is_selected(node.test.func):
            names = [each.value for each in node.test.args if isinstance(each, ast.Constant)]
            if names and len(names) == len(node.test.args) and not is_torch_tab(", ".join(map(str, names))):
                yield node


def _is_selected(called: ast.expr) -> bool:
    return ast.unparse(called) == "tab.selected"
