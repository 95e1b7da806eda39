"""Bytes to text and back, lines and positions, unreadable files, and what the engine makes of them."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.engine import lint_bytes
from gradlint.errors import UnreadableFile
from gradlint.loader import load
from gradlint.model import Position, Range
from gradlint.parse import check_syntax, parse
from gradlint.positions import Positions
from gradlint.rules import RULES
from gradlint.settings import Settings
from gradlint.source import Source
from gradlint.walk import Tree
from hypothesis import given, settings
from hypothesis import strategies as st
from libcst.metadata import MetadataWrapper, PositionProvider

LINES = st.lists(st.sampled_from(["x = 1", "", "é = '\U0001d54f'", "# c", "\x0c"]), max_size=8)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"x = 1\n", "x = 1\n", "utf-8"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n", "utf-8-sig"),
        (b"# coding: latin-1\nx = '\xe9'\n", "# coding: latin-1\nx = 'é'\n", "iso-8859-1"),
        (b"a\r\nb\rc\n", "a\r\nb\rc\n", "utf-8"),
        (b"", "", "utf-8"),
    ],
)
def test_decoding_keeps_everything_and_encodes_back(data: bytes, text: str, encoding: str) -> None:
    source = Source.decode(data, "a.py")
    assert (source.text, source.encoding) == (text, encoding)
    assert source.encode(source.text) == data


@pytest.mark.parametrize(
    ("data", "position"),
    [
        (b"x = '\xff'\n", Position(1, 1)),
        (b"# coding: nonsense\n", Position(1, 1)),
        (b"# coding: rot13\nx\n", Position(1, 1)),
        (b"x = 1\ny\0 = 2\n", Position(2, 2)),
    ],
)
def test_what_cannot_be_decoded_is_one_clean_error(data: bytes, position: Position) -> None:
    with pytest.raises(UnreadableFile) as caught:
        Source.decode(data, "a.py")
    assert caught.value.position == position


@settings(deadline=None)  # machines differ
@given(LINES, ENDS, ENDS)
def test_lines_and_offsets_agree_with_splitting(lines: list[str], end: str, other: str) -> None:
    text = "".join(line + (end if index % 2 else other) for index, line in enumerate(lines))
    source = Source("a.py", text)
    # splitlines also splits at form feeds, which end no line of Python.
    expected = [line.replace("\ufffd", "\x0c") for line in text.replace("\x0c", "\ufffd").splitlines()]
    if end == other:
        assert [source.line(number) for number in range(1, len(lines) + 1)] == expected
    assert source.line(0) == source.line(10_000) == ""
    for offset in range(len(text) + 1):
        assert source.offset(source.position(offset)) == offset


def test_a_position_counts_code_points_from_one() -> None:
    source = Source("a.py", "é\U0001d54f = 1\r\nab\rc")
    assert source.position(3) == Position(1, 4)
    assert source.position(source.text.index("b")) == Position(2, 2)
    assert source.position(source.text.index("c")) == Position(3, 1)
    assert source.slice(Range(Position(2, 1), Position(2, 3))) == "ab"


CODE = '''\
# head
@decorator
def f(a, *b, c: int = (1), **d) -> int:
    """Doc."""
    x = ((a)).b[1:2](c, d=3)  # comment
    if x: pass
    return (yield) if not x else (lambda y: y)(f"{x!r:>{a}}" "b")


class A(
    B,  # base
):
    async def g(self):
        with open("é") as (x, y): await x
        match x:
            case [1, *_] | {"k": v, **rest}: del v
\tz = 1
'''.replace("\tz", "    z")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_positions_are_those_of_libcst(end: str) -> None:
    text = CODE.replace("\n", end)
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    expected = wrapper.resolve(PositionProvider)
    positions = Positions(Source("a.py", text), wrapper.module)
    nodes = [node for kind in Tree(wrapper.module)._by_kind.values() for node in kind]
    assert len(nodes) > 100
    for node in nodes:
        theirs, ours = expected[node], positions.range(node)
        assert ours.start == (theirs.start.line, theirs.start.column + 1), type(node)
        assert ours.end == (theirs.end.line, theirs.end.column + 1), type(node)


def test_the_outer_range_holds_the_parentheses() -> None:
    source = Source("a.py", "x = ((a))\n")
    module = parse(source)
    (name,) = [node for node in Tree(module).nodes(cst.Name) if node.value == "a"]
    positions = Positions(source, module)
    assert source.slice(positions.range(name)) == "a"
    assert source.slice(positions.outer_range(name)) == "((a))"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000 + "]" * 50_000,
        "-" * 2_000 + "1",
        "a" + ".b" * 2_000,
        "1" + "+1" * 2_000,
        "not " * 2_000 + "1",
        "if a: pass\n" + "elif a: pass\n" * 5_000,
    ],
    ids=["brackets", "minus", "attributes", "sums", "not", "elif"],
)
def test_deep_nesting_is_parsed_or_refused_but_never_kills_the_process(text: str) -> None:
    source = Source("a.py", text + "\n")
    try:
        assert Tree(parse(source)).nodes(cst.Module)
    except UnreadableFile as problem:
        assert problem.reason


def _codes(data: bytes) -> list[tuple[str, int]]:
    return [(found.code, found.range.start.line) for found in lint_bytes(data, "a.py", Settings(), load(RULES))]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"import torch\nx = = require_grad\n", 2),
        (b"x = 1\ndef f(:\n", 2),
        (b"\xff", 1),
        (b"x\0", 1),
        (b"import torch\nx.require_grad = True\ny = " + b"-" * 3000 + b"1\n", 1),
    ],
    ids=["syntax", "syntax-without-torch", "bytes", "null", "too-deep-for-positions"],
)
def test_an_unreadable_file_is_one_violation(data: bytes, line: int) -> None:
    assert _codes(data) == [("GRD001", line)]


def test_a_file_without_torch_is_only_checked_for_syntax() -> None:
    assert _codes(b"x.require_grad = True\n") == []
    assert _codes(b"import torch\nx.require_grad = True\n") == [("GRD703", 2)]


def test_syntax_that_only_libcst_knows_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_old(*_: object) -> None:
        raise SyntaxError

    monkeypatch.setattr("gradlint.parse.ast.parse", too_old)
    check_syntax(Source("a.py", "x = 1\n"))
    with pytest.raises(UnreadableFile):
        check_syntax(Source("a.py", "x = = 1\n"))


@settings(deadline=None)  # machines differ
@given(st.binary(max_size=60))
def test_no_bytes_make_the_linter_crash(data: bytes) -> None:
    assert all(code == "GRD001" for code, _ in _codes(data))


@settings(deadline=None)  # machines differ
@given(st.text(alphabet="abtorch.=()[]:\n \t'\"#init\\éreqd_g", max_size=80))
def test_no_text_makes_the_linter_crash(text: str) -> None:
    codes = {code for code, _ in _codes(b"import torch, init\n" + text.encode())}
    assert "GRD002" not in codes
