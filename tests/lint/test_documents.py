"""Whatever a notebook or Markdown holds: it is read or refused, lines stay lines, and a change changes no more."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
from gradlint.documents import SUFFIXES, read
from gradlint.documents.blocks import LINE, Block, Places
from gradlint.documents.fences import may_hold_python
from gradlint.documents.magics import without_magics
from gradlint.documents.notebook_json import cells, file_lines, line_starts, replaced
from gradlint.documents.tabs import without_other_branches
from gradlint.errors import UnreadableFile
from gradlint.model import Edit, Fix, Level, Position, Range, Safety, Violation

settings = hypothesis.settings(max_examples=150, deadline=None, derandomize=True)

PIECES = (
    *("```python\n", "```\n", "  ~~~py\n", "~~~~\n", "```{.python .input}\n", "#@tab pytorch\n", "%%tab all\n"),
    *("<!--\n", "-->\n", "import torch\n", "x = (\n", ")\n", "'''\n", "    y = 1\n", "%time\n", "!ls 'a\n", "z?\n"),
    *("w = %x\n", "if a:\n", "\tb\n", "\n", "a\r\n", "b\r", "\u2028", "\x0c", "é\\\n", "# gradlint: skip-file\n"),
    *("if tab.selected('jax'):\n", "...\n", "%%bash\n", "%z\r", "\r\n"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
cell_texts = st.one_of(texts, st.text(max_size=30))


def lines(text: str) -> int:
    return len(LINE.findall(text))


@settings
@hypothesis.given(texts)
def test_markdown_keeps_its_lines(text: str) -> None:
    document = read(text.encode(), "a.md")
    assert document.encode() == (text.encode() if may_hold_python(text.encode()) else b"")
    try:
        code = document.source.text
    except UnreadableFile as problem:
        assert 1 <= problem.position.line <= lines(text) + 1
        return
    assert lines(code) == lines(document.shown.text)
    for written, seen in zip(LINE.findall(document.shown.text), LINE.findall(code), strict=True):
        kept = seen.rstrip("\n")
        assert written.rstrip("\r\n").endswith(kept) or kept.strip() == "pass" or "get_ipython()" in kept


@settings
@hypothesis.given(cell_texts)
def test_magics_keep_the_lines_and_twice_is_once(text: str) -> None:
    text = re.sub(r"\r\n?", "\n", text)  # as all code of blocks is
    once = without_magics(text)
    assert once.count("\n") == text.count("\n")
    assert without_magics(once) == once


def notebook(sources: list[str], *, as_list: bool, indent: int | None, ascii_only: bool) -> str:
    content: dict[str, Any] = {"cells": [], "metadata": {"x": [1.5e10, None]}, "nbformat": 4}
    for source in sources:
        kept = source.splitlines(keepends=True) if as_list else source
        content["cells"].append({"cell_type": "code", "outputs": [{"text": ["\u00e9"]}], "source": kept})
    return json.dumps(content, indent=indent, ensure_ascii=ascii_only)


@settings
@hypothesis.given(
    st.lists(cell_texts, min_size=1, max_size=4),
    cell_texts,
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_changed_cell_changes_nothing_else(
    sources: list[str], new: str, which: int, as_list: bool, indented: bool, ascii_only: bool
) -> None:
    raw = notebook(sources, as_list=as_list, indent=1 if indented else None, ascii_only=ascii_only)
    found = cells(raw)
    assert [cell.text for cell in found] == sources
    assert all(len(file_lines(cell, line_starts(raw))) == lines(cell.text) for cell in found)
    which %= len(sources)
    changed = replaced(raw, [(found[which], new)])
    start, end = found[which].span
    assert changed.startswith(raw[:start])
    assert changed.endswith(raw[end:])
    assert [cell.text for cell in cells(changed)] == [*sources[:which], new, *sources[which + 1 :]]
    assert replaced(raw, [(cell, cell.text) for cell in found]) == raw or not as_list


@settings
@hypothesis.given(st.lists(cell_texts, max_size=4))
def test_a_notebook_keeps_its_lines(sources: list[str]) -> None:
    raw = notebook(sources, as_list=True, indent=1, ascii_only=False)
    try:
        data = raw.encode()
    except UnicodeEncodeError:
        return
    document = read(data, "a.ipynb")
    assert document.encode() == data
    assert len(document.shown.cell_lines) == lines(document.shown.text)
    try:
        assert lines(document.source.text) == lines(document.shown.text)
    except UnreadableFile as problem:
        assert document.shown.cell_line(problem.position.line) is not None


@settings
@hypothesis.given(st.binary(max_size=60), st.sampled_from(SUFFIXES))
def test_any_bytes_are_read_or_refused(data: bytes, suffix: str) -> None:
    for content in (data, b"```python\n" + data, b'{"cells": [' + data + b"]}"):
        reason = refusal(content, f"a{suffix}")
        assert reason is None or re.match(r"cannot be|is |contains|a block", reason)


def refusal(data: bytes, path: str) -> str | None:
    try:
        read(data, path).source  # noqa: B018 - what is asked for
    except UnreadableFile as problem:
        return problem.reason
    return None


def violation(*edits: Edit) -> Violation:
    place = Range(Position(2, 3), Position(2, 4))
    return Violation("GRD999", "x", Level.ERROR, "m", "a.md", place, Fix(Safety.SAFE, edits))


def edit(line: int, column: int, end_line: int, end_column: int, content: str = "") -> Edit:
    return Edit(Range(Position(line, column), Position(end_line, end_column)), content)


def test_places_add_the_indentation_and_edits_do_too() -> None:
    block = Block(2, "  a\n  b\n", "a\nb\n", (2, 2, 2))
    found = Places([block]).violation(violation(edit(2, 1, 3, 1, "x\ny\n")))
    assert found.range == Range(Position(2, 5), Position(2, 6))
    assert found.fix == Fix(Safety.SAFE, (edit(2, 3, 3, 3, "x\n  y\n  "),))


@pytest.mark.parametrize(
    "one",
    [edit(1, 1, 1, 1), edit(2, 1, 5, 2), edit(3, 1, 3, 2), edit(2, 1, 6, 1), edit(5, 1, 5, 1)],
    ids=["above", "into-next", "hidden", "over-both", "below"],
)
def test_a_fix_that_leaves_its_block_or_touches_what_is_hidden_is_taken_off(one: Edit) -> None:
    block, other = Block(2, "a\n!b\nc\n", "a\npass\nc\n"), Block(6, "d\n", "d\n")
    assert Places([block, other]).violation(violation(edit(2, 1, 2, 2), one)).fix is None
    assert Places([block, other]).violation(violation(edit(2, 1, 2, 2))).fix is not None


def test_a_fix_ends_where_its_block_ends() -> None:
    places = Places([Block(1, "a\nb\n", "a\nb\n"), Block(3, "c\n", "c\n")])
    assert places.violation(violation(edit(1, 1, 3, 1))).fix is not None
    assert places.violation(violation(edit(1, 1, 3, 2))).fix is None


def test_a_change_after_which_a_block_is_prose_is_refused() -> None:
    document = read(b"```py\nx = 1\n```\n```py\ny = 1\n```\n", "a.md")
    assert document.changed([edit(2, 5, 2, 6, "2")]).encode() == b"```py\nx = 2\n```\n```py\ny = 1\n```\n"
    with pytest.raises(UnreadableFile):
        document.changed([edit(2, 5, 2, 6, "(")])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("%time f(x)\n", "pass\n"),
        ("!a \\\n  b\nc\n", "pass\n\nc\n"),
        ("x = !ls (\n", "x = get_ipython()\n"),
        ("a, b[0] = %x y\n", "a, b[0] = get_ipython()\n"),
        ("if x:\n    %matplotlib inline\n", "if x:\n    pass\n"),
        ("torch.nn?\n", "pass\n"),
        ("??f\n", "pass\n"),
        ("x = 5 \\\n % 2\n", "x = 5 \\\n % 2\n"),
        ("x = (5\n% 2)\n", "x = (5\n% 2)\n"),
        ("s = '''\n!x\n%y\n'''\n%z\n", "s = '''\n!x\n%y\n'''\npass\n"),
        ("x = 1  # really?\n", "x = 1  # really?\n"),
        ("# '''\n%z\n", "# '''\npass\n"),
        ("%%bash\nls (\n", "\n\n"),
        ("%%time\n%%capture c\nx\n", "\n\nx\n"),
        ("%%tab mxnet\nx\n", "\n\n"),
        ("x %= 2\ny != 3\n", "x %= 2\ny != 3\n"),
    ],
)
def test_what_is_magic_and_what_is_not(text: str, code: str) -> None:
    assert without_magics(text) == code


def test_branches_of_other_frameworks_keep_their_lines() -> None:
    code = "if tab.selected('jax'):\n    a\n    b\nif tab.selected(x):\n    c\nif tab.selected('jax'): d\n"
    assert without_other_branches(code) == code.replace("    a\n    b\n", "    pass\n\n")
