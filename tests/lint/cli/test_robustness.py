"""Whatever is in a file, the run ends with a result: a violation at worst, never a traceback, never a hang."""

from __future__ import annotations

import json
import time
from importlib import metadata

import pytest
from gradlint.bounds import MOST_LINKS, check_length
from gradlint.errors import UnreadableFile

from tests.lint.cli.code import BROKEN, TYPO
from tests.lint.cli.conftest import Cli, Write

PYTHON_2 = "import torch\nprint 'x'\nexec 'y'\nraise ValueError, 'z'\n"
NEW_SYNTAX = """\
import torch
type Pair[T] = tuple[T, T]
def f[T: int = bool](x: T, /, *, y=1) -> T:
    match x:
        case {"a": [1, *_]} | None if (n := 1): return f"{x!r:>{n}} {"nested"}"
    with (open("a") as a, open("b") as b): pass
    try: pass
    except* ValueError: pass
    try: later: Undefined[Later] = t"{x!r:>{n}} {t'nested'}"
    except ValueError, TypeError: pass
"""


def codes(cli: Cli, *options: str) -> list[tuple[str, str, int]]:
    found = cli(".", "--output-format", "json", *options)
    assert found.err == ""
    return [(each["path"], each["code"], each["line"]) for each in json.loads(found.out)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BROKEN.encode(), "GRD001"),
        (PYTHON_2.encode(), "GRD001"),
        (b"\xff\xfe\x00torch", "GRD001"),
        (TYPO.encode("utf-16"), "GRD001"),
        (b"import torch\nx = '\xe9'\n", "GRD001"),
        (b"# coding: martian\nimport torch\n", "GRD001"),
        (b"# coding: utf-8\n# coding: latin-1\nimport torch\n\xe9", "GRD001"),
        (b"import torch\nx = 1\0\n", "GRD001"),
        (b"\0" * 100, "GRD001"),
        (b"import torch\nx = " + b"(" * 1000 + b")" * 1000, "GRD001"),
        (b"import torch\n\tx = 1\n        y = 2\n", "GRD001"),
        (b"import torch\nx = (1 + \\\n", "GRD001"),
        (b"import torch\nx = '''never ends\n", "GRD001"),
        (b"", None),
        (b"\n\n\n", None),
        (b"\xef\xbb\xbf", None),
        (b"import torch\\\n\n", None),
        (b"import torch\r\n\tif 0:\r\n\t\tpass".replace(b"\tif", b"if").replace(b"\t\tp", b"\tp"), None),
        (
            b"import torch\n"
            + b"if x:\n"
            + b"".join(b" " * n + b"if x:\n" for n in range(1, 90))
            + b" " * 90
            + b"pass",
            None,
        ),
        (NEW_SYNTAX.encode(), None),
        ("# coding: cp1252\nimport torch\nx = '€'\n".encode("cp1252"), None),
        ("import torch\nπ = 'ﬁ'\n".encode(), None),
        (b"import torch\x0c\nx = 1\x0c\n", None),
    ],
)
@pytest.mark.parametrize("has_rule", [True, False], ids=["torch", "other"])
def test_any_content_is_clean_or_one_unreadable_file(
    cli: Cli, write: Write, data: bytes, expected: str | None, has_rule: bool
) -> None:
    write("a.py", data if has_rule else data.replace(b"torch", b"other"))
    write("b.py", TYPO)
    first = [("a.py", expected)] if expected else []
    assert [(path, code) for path, code, _ in codes(cli)] == [*first, ("b.py", "GRD703")]


def test_new_syntax_is_read_whatever_python_runs(cli: Cli, write: Write) -> None:
    new = NEW_SYNTAX.replace("import torch\n", TYPO) + 'print(t"{torch.log(torch.softmax(w, dim=-1))}")\n'
    write("a.py", new)
    assert codes(cli) == [("a.py", "GRD703", 4), ("a.py", "GRD501", new.count("\n"))]


def test_syntax_that_libcst_fails_on_is_one_sentence(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: str) -> None:
        raise ValueError("Logic error!\nin two lines")

    write("a.py", TYPO)
    monkeypatch.setattr("gradlint.parse.cst.parse_module", fails)
    found = cli("a.py", "--no-cache", "--jobs", "1", "--output-format", "concise").out
    version = metadata.version("libcst")
    assert found.splitlines()[0] == (
        f"a.py:1:1: GRD001 cannot be parsed: libcst {version} stops with ValueError: Logic error!"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_places_are_right_whatever_the_newlines(cli: Cli, write: Write, end: str) -> None:
    write("a.py", TYPO.replace("\n", end).encode())
    assert codes(cli) == [("a.py", "GRD703", 4)]


def test_ten_thousand_lines(cli: Cli, write: Write) -> None:
    write(
        "a.py", TYPO + "def f(x, y):\n    z = x @ y + torch.relu(x)\n    return z\n" * 3333 + "w.require_grad = False\n"
    )
    assert codes(cli) == [("a.py", "GRD703", 4), ("a.py", "GRD703", 10_004)]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1" + " + 1" * 50_000,
        "x = (a" + "\n  | 'a'" * 50_000 + ")",
        "x = a" + ".b()" * 20_000,
        "x = a" + "[0]" * 20_000,
        "x = " + "a if b else " * 20_000 + "c",
        "x = " + "lambda a=1: " * 20_000 + "c",
        "x = " + "not " * 50_000 + "c",
        "x = " + "-" * 50_000 + "c",
        "x = f(" + "a[i].b(c) + " * 20_000 + "1)",
    ],
    ids=["sum", "lines", "calls", "subscripts", "conditional", "lambda", "not", "minus", "mixed"],
)
def test_an_endless_chain_is_refused_at_once(cli: Cli, write: Write, text: str) -> None:
    write("a.py", f"import torch\n{text}\nw.require_grad = True\n")
    began = time.monotonic()
    assert codes(cli, "--no-cache") == [("a.py", "GRD001", 1)]
    assert time.monotonic() - began < 60, "a hang, not a slow machine"


@pytest.mark.parametrize(
    "text",
    [
        "x = [" + "-1.5, " * 5_000 + "]",
        "a.b(c)\n" * 5_000,
        "# a.b.c.d -- [x]\n" * 5_000,
        "x = 'a.b.c.d' + \"(((((\"\n" * 2_000,
        'x = """' + "a.b()" * 5_000 + '"""',
        "@a.b\n" * 2_000 + "def f(): pass",
        "x = {" + "'a': lambda: not b.c, " * 2_000 + "}",
        "x = f(\n" + "    a.b,\n" * 3_000 + ")",
    ],
)
def test_long_but_flat_code_is_not_refused(text: str) -> None:
    check_length(text)


def test_the_limit_is_of_one_chain() -> None:
    check_length(" + ".join(["1"] * (MOST_LINKS + 1)))
    with pytest.raises(UnreadableFile, match="more than 1000 operators"):
        check_length(" + ".join(["1"] * (MOST_LINKS + 2)))
